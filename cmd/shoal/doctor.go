package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/host"
	"github.com/shoalgrid/shoal/internal/service"
	"github.com/shoalgrid/shoal/internal/words"
	"github.com/shoalgrid/shoal/wasm"
)

func (p *program) doctorCommand() *cobra.Command {
	var bundle string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look for what keeps this machine from working in the grid, with one thing to try for each",
		Long: `Looks at the home, the settings, the sandbox's locks, the signals by which donating gives
way, and, where a node runs, at its network and its clock. Exit code 1 says that something
is bad; a warning is nothing bad. --bundle writes what a person who helps needs to know; no
key, no address of the page and no file of yours is in it.`,
		Example: `  shoal doctor
  shoal doctor --output json
  shoal doctor --bundle report.tar.gz`,
		Args: exactArgs(),
	}
	cmd.Flags().StringVar(&bundle, "bundle", "", "`FILE` to write a report to, as .tar.gz")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context(), bundle) }
	return cmd
}

// doctorTime bounds a whole examination.
const doctorTime = 20 * time.Second

// doctorDocument is what --output json gives.
type doctorDocument struct {
	Schema   string    `json:"schema"` // shoal.doctor/1
	Version  string    `json:"version"`
	Findings []finding `json:"findings"`
	Bad      int       `json:"bad"`
	Warnings int       `json:"warnings"`
}

func (p *program) doctor(ctx context.Context, bundle string) error {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	home, err := p.home()
	if err != nil {
		return wrongCall(err)
	}
	if bundle != "" {
		if err := placeForBundle(bundle); err != nil {
			return err
		}
	}
	e := p.examine(ctx, home)
	doc := doctorDocument{Schema: "shoal.doctor/1", Version: version(), Findings: e.findings()}
	for _, f := range doc.Findings {
		switch f.State {
		case stateBad:
			doc.Bad++
		case stateWarn:
			doc.Warnings++
		}
	}
	if err := p.print(doc, func(w io.Writer) { findingTable(w, p.ui.screen, doc.Findings) }); err != nil {
		return err
	}
	if bundle != "" {
		if err := writeBundle(bundle, home, p.logPath, &doc, e.status); err != nil {
			return err
		}
		p.ui.bundled(bundle)
	}
	if doc.Bad > 0 {
		return &api.Error{Code: api.CodeUnexpected, Message: words.Count(doc.Bad, "thing") + " found that keeps this machine from working", Hint: "each line above marked bad says what to try"}
	}
	return nil
}

// examination is what was found out, before it is judged.
type examination struct {
	home      string
	homeErr   error
	configErr error
	locks     []wasm.Lock
	locksErr  error
	engine    string
	host      host.Readings
	quota     uint64
	service   service.State // the user's, or the machine's where the user has none
	serverErr error
	status    *api.Status // nil: no node runs
	statusErr error
}

// examine asks everything that there is to ask; what cannot be had is a finding as well.
func (p *program) examine(ctx context.Context, home string) *examination {
	e := &examination{home: home, homeErr: tryHome(home), engine: wasm.Engine()}
	e.service, e.serverErr = askService(ctx)
	settings, err := config.Load(home, os.LookupEnv, nil)
	if err == nil {
		err = settings.Validate()
	}
	e.configErr, e.quota = err, uint64(settings.Disk)
	e.locks, e.locksErr = tryLocks(ctx)
	e.host = lookOnce(ctx, home)
	if s, err := p.running(); err != nil {
		e.statusErr = err
	} else {
		e.status, e.statusErr = s.Status(ctx)
		e.statusErr = withoutNode(e.statusErr)
	}
	return e
}

// tryLocks has a sandbox lock itself in, in a folder that is gone afterwards.
func tryLocks(ctx context.Context) (locks []wasm.Lock, err error) {
	dir, err := os.MkdirTemp("", "shoal-doctor-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sandbox, err := wasm.New(wasm.Options{CacheDir: dir, Prefix: strings.Fields(os.Getenv("SHOAL_EXEC_PREFIX")), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return sandbox.Locks(ctx)
}

// askService looks for a service that starts shoal, the user's first.
func askService(ctx context.Context) (service.State, error) {
	own, err := service.Service{}.State(ctx)
	if err != nil || own.Installed {
		return own, err
	}
	return service.Service{System: true}.State(ctx)
}

// withoutNode forgets the error that no node runs: that is said in its own words.
func withoutNode(err error) error {
	if err != nil && api.AsError(err).Code == api.CodeNoNode {
		return nil
	}
	return err
}

// tryHome reports whether a node could work in the home: it writes and removes a file.
func tryHome(home string) error {
	if _, err := os.Stat(home); os.IsNotExist(err) {
		return nil // the first command makes it
	}
	f, err := os.CreateTemp(home, ".doctor-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// lookOnce is one look at the machine's signals.
func lookOnce(ctx context.Context, home string) host.Readings {
	ctx, stop := context.WithTimeout(ctx, hostTime)
	defer stop()
	sampler := host.New(host.System(home), slog.New(slog.DiscardHandler))
	_ = sampler.Run(ctx) // it ends with ctx, and that is no error
	return sampler.Readings()
}

// hostTime is how long the machine's signals get for a first answer each.
const hostTime = 1500 * time.Millisecond

// bundled says what a report has and has not.
func (u *ui) bundled(name string) {
	u.say("wrote %s: findings, settings, state of the node; no key, no program, no input", name)
}

// findingTable lists findings, the bad with what to try.
func findingTable(w io.Writer, s *screen, all []finding) {
	for _, f := range all {
		mark := f.State
		switch f.State {
		case stateBad:
			mark = s.style(red, "bad ")
		case stateOK:
			mark = "ok  "
		}
		fmt.Fprintf(w, "%s  %-10s %s\n", mark, f.About, oneLine(f.Says))
		if f.Try != "" {
			fmt.Fprintf(w, "      %-10s try: %s\n", "", f.Try)
		}
	}
}
