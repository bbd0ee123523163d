package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/service"
)

func (p *program) serviceCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "service",
		Short: "have the system start shoal, and keep it",
		Example: `  shoal service install                  start donating whenever you are logged in
  shoal service install --print          only show the file that would be written
  sudo shoal service install --system    on a server: from its start, for no user`,
	}, p.serviceInstallCommand(), p.serviceUninstallCommand(), p.serviceStatusCommand())
}

// serviceFlags say which service is meant.
type serviceFlags struct{ system bool }

func (f *serviceFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.system, "system", false, "the machine's service, not yours")
}

func (p *program) serviceInstallCommand() *cobra.Command {
	var f serviceFlags
	var relay, show bool
	var system string
	cmd := &cobra.Command{
		Use:   "install [-- FLAG...]",
		Short: "start shoal donate now, and from now on",
		Long: `Writes a systemd unit (on macOS a launchd agent, on Windows a service) that runs shoal donate
with the flags after --, starts it, and has it started at each login. A file that is there and
was not written by this command is never replaced.

As your own service it sees whether you use the machine, which the machine's own cannot see
well: --system is for servers. Wishes are best set with shoal config, which a running
service follows at once.`,
		Example: `  shoal service install
  shoal service install -- --when always --cores 2
  shoal service install --relay          keep and relay for others, without donating
  shoal service install --print`,
		Args: cobra.ArbitraryArgs, // of donate: they are checked below
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&relay, "relay", false, "run shoal up instead of shoal donate")
	flags.BoolVar(&show, "print", false, "write the file to stdout and do nothing else")
	flags.StringVar(&system, "for", runtime.GOOS, "with --print: `SYSTEM` to write it for: linux, darwin or windows")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := oneOf("for", system, serviceSystems()); show && err != nil {
			return err
		}
		if system != runtime.GOOS && !show {
			return usage("shoal service install --print --for "+system, "--for %s needs --print: this is %s", system, runtime.GOOS)
		}
		s, err := p.serviceOf(f, system, relay, args)
		if err != nil {
			return err
		}
		if !show {
			return p.installService(cmd.Context(), s)
		}
		text, err := s.Text(system)
		if err != nil {
			return usage("shoal service install --print --for linux", "%v", err)
		}
		return p.print(serviceText{serviceTextSchema, system, text}, func(w io.Writer) { io.WriteString(w, text) })
	}
	return cmd
}

// serviceTextSchema is the form of a serviceText.
const serviceTextSchema = "shoal.service-file/1"

// serviceText is what install --print shows, in --output json.
type serviceText struct {
	Schema string `json:"schema"`
	For    string `json:"for"` // linux, darwin or windows
	Text   string `json:"text"`
}

// serviceSystems are those that a service can be written for.
func serviceSystems() []string { return []string{service.Linux, service.Darwin, service.Windows} }

// serviceOf is the service that a person asks for. The flags for its command are tried here,
// where somebody reads what is wrong with them.
func (p *program) serviceOf(f serviceFlags, system string, relay bool, args []string) (service.Service, error) {
	command := p.donateCommand()
	if relay {
		command = p.upCommand()
	}
	command.SetFlagErrorFunc(flagError)
	if err := command.ParseFlags(args); err != nil {
		return service.Service{}, flagError(command, err)
	}
	if rest := command.Flags().Args(); len(rest) > 0 {
		return service.Service{}, usage("flags for it come after --: shoal service install -- --when always", "shoal %s takes no argument %q", command.Name(), rest[0])
	}
	self, err := os.Executable()
	if err != nil {
		return service.Service{}, fmt.Errorf("find this program: %w", err)
	}
	home, err := p.serviceHome(f, system)
	if err != nil {
		return service.Service{}, err
	}
	return service.Service{Program: self, Args: append([]string{command.Name()}, args...), System: f.system, Home: home}, nil
}

// serviceHome is the home to name in a service: the one that was asked for, or the machine's.
// A user's service on Linux finds its own.
func (p *program) serviceHome(f serviceFlags, system string) (string, error) {
	named := p.homeFlag
	if named == "" {
		named = os.Getenv("SHOAL_HOME")
	}
	switch {
	case named != "":
		return filepath.Abs(named)
	case f.system || system == service.Windows:
		return service.SystemHome(system, os.Getenv("ProgramData")), nil
	case system == service.Linux || system != runtime.GOOS:
		return "", nil
	}
	return p.home()
}

// installTime is for the system to take a service and for the node to be ready.
const installTime = 2 * time.Minute

func (p *program) installService(ctx context.Context, s service.Service) error {
	ctx, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	st, err := s.Install(ctx)
	if err != nil {
		return serviceTrouble(err, s.System)
	}
	p.ui.serviceInstalled(st, s)
	return nil
}

// serviceVerb is a command about a service that was installed, or not.
func serviceVerb(verb, does string, do func(context.Context, service.Service) error) *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use:     verb,
		Short:   does,
		Example: "  shoal service " + verb,
		Args:    exactArgs(),
	}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := do(cmd.Context(), service.Service{System: f.system}); err != nil {
			return serviceTrouble(err, f.system)
		}
		return nil
	}
	return cmd
}

func (p *program) serviceUninstallCommand() *cobra.Command {
	return serviceVerb("uninstall", "stop the service and take its file away; the home stays", func(ctx context.Context, s service.Service) error {
		st, err := s.Uninstall(ctx)
		if err == nil {
			p.ui.serviceGone(st)
		}
		return err
	})
}

// serviceSchema is the form of a serviceStatus.
const serviceSchema = "shoal.service/1"

// serviceStatus is a service in --output json.
type serviceStatus struct {
	Schema    string `json:"schema"`
	Installed bool   `json:"installed"`
	Path      string `json:"path"`
	Ours      bool   `json:"ours"` // as shoal wrote it
	Running   bool   `json:"running"`
	State     string `json:"state"`  // in the system's words
	Linger    string `json:"linger"` // on, off, or "" where it does not matter
}

func (p *program) serviceStatusCommand() *cobra.Command {
	return serviceVerb("status", "whether the service is installed, and how it is", func(ctx context.Context, s service.Service) error {
		st, err := s.State(ctx)
		if err != nil {
			return err
		}
		doc := serviceStatus{serviceSchema, st.Installed, st.Path, st.Ours, st.Running, st.Words, string(st.Linger)}
		return p.print(doc, func(w io.Writer) { serviceTable(w, st) })
	})
}

// serviceTrouble gives what went wrong with a service a code and a way out.
func serviceTrouble(err error, system bool) error {
	var foreign *service.ForeignError
	var hidden *service.HiddenError
	switch {
	case errors.As(err, &foreign):
		return &api.Error{Code: api.CodeRefused, Message: err.Error() + ": left as it is", Hint: "move it away; for changes of your own there is: " + systemctl(system) + " edit shoal"}
	case errors.As(err, &hidden):
		return &api.Error{Code: api.CodeRefused, Message: err.Error(), Hint: "put it where all users can: sudo install " + hidden.Program + " /usr/local/bin/shoal"}
	case errors.Is(err, service.ErrNotInstalled):
		return &api.Error{Code: api.CodeNotFound, Message: err.Error(), Hint: "shoal service status, with or without --system, says what there is"}
	case errors.Is(err, service.ErrNoManager):
		return &api.Error{Code: api.CodeRefused, Message: err.Error(), Hint: "start shoal donate by other means; shoal service install --print shows the unit"}
	case errors.Is(err, os.ErrPermission) && system:
		return &api.Error{Code: api.CodeRefused, Message: err.Error(), Hint: "the machine's service is for root to change: sudo"}
	}
	return &api.Error{Code: api.CodeUnexpected, Message: err.Error(), Hint: "its log: " + journal(system)}
}
