package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/service"
)

// program is one run of the command: its streams, its global flags, and how it gets a node.
type program struct {
	stdin  io.Reader
	stdout io.Writer // beside the live line
	tty    bool      // stdout is a terminal
	ui     *ui
	open   nodeOpener

	homeFlag       string
	output         string
	quiet, verbose bool

	logLevel, logPath string
	logger            *slog.Logger     // what openLog made
	logFile           *service.LogFile // part of it, if there is one
}

func newProgram(stdin io.Reader, stdout, stderr io.Writer, open nodeOpener) *program {
	s := newScreen(stderr)
	return &program{stdin: stdin, stdout: s.beside(stdout), tty: isTerminal(stdout), ui: &ui{screen: s}, open: open}
}

// run runs one command and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	p.ui.screen.Live("")
	p.closeLog()
	if err == nil {
		return 0
	}
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && interrupted(cause) {
		err = cause // whatever was under way when the person or the system ended it
	}
	if !interrupted(err) {
		p.ui.failure(err)
	}
	return exitCode(err)
}

func exitCode(err error) int {
	if interrupted(err) {
		return api.CodeInterrupted
	}
	return api.AsError(err).Code
}

// usage is a wrong call.
func usage(hint, format string, args ...any) *api.Error {
	return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// The groups of commands in the help.
const (
	groupSubmit = "submit"
	groupGive   = "give"
	groupLook   = "look"
	groupMore   = "more"
)

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "shoal",
		Short: "A compute grid without a coordinator: anyone submits, anyone lends idle cores.",
		Example: `  seq 1 1000 | shoal run prog.wasm --lines -     1,000 inputs, answers in order
  shoal submit count.wasm texts/*.txt            leave a job with the grid
  shoal donate                                   lend this machine's cores
  shoal status                                   how it is going`,
		Args:              cobra.ArbitraryArgs,
		RunE:              p.noCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: p.checkGlobals,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.homeFlag, "home", "", "`DIR` of the node's key, jobs and data (or SHOAL_HOME)")
	flags.StringVar(&p.output, "output", formatTable, "`FORMAT`: table, json or jsonl")
	flags.BoolVarP(&p.quiet, "quiet", "q", false, "say nothing but errors")
	flags.BoolVarP(&p.verbose, "verbose", "v", false, "say what the node does")
	flags.StringVar(&p.logLevel, "log-level", "", "`LEVEL` of the log: debug, info, warn or error (warn; info in a file)")
	flags.StringVar(&p.logPath, "log-file", "", "`FILE` to log to as well; at 10 MiB it begins anew, three old ones are kept")
	root.AddGroup(
		&cobra.Group{ID: groupSubmit, Title: "Submit work:"}, &cobra.Group{ID: groupGive, Title: "Give time:"},
		&cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupMore, Title: "More:"})
	for _, add := range []struct {
		group    string
		commands []*cobra.Command
	}{
		{groupSubmit, []*cobra.Command{p.runCommand(), p.submitCommand(), p.watchCommand(), p.explainCommand(), p.resultsCommand(), p.logsCommand(), p.waitCommand(), p.cancelCommand(), p.notifyCommand()}},
		{groupGive, []*cobra.Command{p.donateCommand(), p.upCommand(), p.pauseCommand(), p.resumeCommand(), p.finishCommand(), p.followCommand(), p.unfollowCommand(), p.blockCommand(), p.unblockCommand()}},
		{groupLook, []*cobra.Command{p.statusCommand(), p.uiCommand(), p.peersCommand(), p.idCommand(), p.doctorCommand(), p.checkCommand(), p.verifyCommand(), p.creditCommand(), p.noticesCommand()}},
		{groupMore, []*cobra.Command{p.demoCommand(), p.simCommand(), p.configCommand(), p.serviceCommand(), p.versionCommand(), p.completionCommand()}},
	} {
		for _, c := range add.commands {
			c.GroupID = add.group
			root.AddCommand(c)
		}
	}
	root.SetHelpCommand(helpCommand(root))
	root.SetHelpCommandGroupID(groupMore)
	root.AddCommand(exitCodesTopic(), donatingTopic())
	p.completes(root)
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(flagError)
	root.SetOut(p.stdout)
	root.SetErr(lineWriter{p.ui.screen})
	return root
}

func (p *program) checkGlobals(*cobra.Command, []string) error {
	if err := oneOf("output", p.output, formats()); err != nil {
		return err
	}
	p.ui.quiet = p.quiet
	return p.openLog()
}

// noCommand is shoal alone, or with a word that is no command.
func (p *program) noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	var help strings.Builder
	cmd.SetOut(&help)
	if err := cmd.Help(); err != nil {
		return err
	}
	p.ui.screen.Line(help.String())
	return usage("shoal COMMAND --help says more about one", "no command given")
}

// group makes cmd one that only has commands of its own: without one of them, or with a word
// that is none, it is a wrong call (cobra by itself shows the help and ends with 0).
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return usage(cmd.CommandPath()+" --help says more", "%s needs one of: %s", cmd.CommandPath(), strings.Join(names(commands), ", "))
	}
	cmd.AddCommand(commands...)
	return cmd
}

func names(commands []*cobra.Command) []string {
	var all []string
	for _, c := range commands {
		all = append(all, c.Name())
	}
	return all
}

// flagError turns what pflag says into a wrong call with a hint.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.Parent() == nil && len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	help := cmd.CommandPath() + " --help lists the flags"
	var unknown *pflag.NotExistError
	var valueless *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usage(help, "no flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		if near := nearFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			help = "did you mean: --" + near
		}
		return usage(help, "no flag --%s", unknown.GetSpecifiedName())
	case errors.As(err, &valueless):
		f := valueless.GetFlag()
		return usage(flagWords(f), "--%s needs a value", f.Name)
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		return usage(flagWords(f), "--%s %q: %s", f.Name, invalid.GetValue(), plainCause(f, invalid.Unwrap()))
	}
	return usage(help, "%v", err)
}

// flagWords is what a flag means, as in the help.
func flagWords(f *pflag.Flag) string {
	value, meaning := pflag.UnquoteUsage(f)
	return fmt.Sprintf("--%s %s: %s", f.Name, value, meaning)
}

// plainCause says what is wrong with a flag's value without naming a parser.
func plainCause(f *pflag.Flag, err error) string {
	switch f.Value.Type() {
	case "int", "int64":
		return "not a whole number"
	case "uint64":
		return "not a whole number from 0"
	case "bool":
		return "true or false"
	}
	return err.Error()
}

// exactArgs asks for arguments by name.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		see := "usage: " + cmd.UseLine()
		switch {
		case len(args) < len(names):
			return usage(see, "%s needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return usage(see, "%s: one argument too many: %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// someArgs takes one argument or more.
func someArgs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		return exactArgs(append([]string{name}, args...)[:max(len(args), 1)]...)(cmd, args)
	}
}

// optionalArg takes one argument or none.
func optionalArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		return exactArgs([]string{name}[:min(len(args), 1)]...)(cmd, args)
	}
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "help on a command, or on: exit-codes, donating",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			topic, _, err := root.Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return names(topic.Commands()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if len(args) > 0 && (err != nil || cmd == root || len(rest) > 0) {
				return unknownCommand(root, cmp.Or(strings.Join(rest, " "), args[0]))
			}
			return cmd.Help()
		},
	}
}
