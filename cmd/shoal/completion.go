package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/words"
)

func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "the script that completes commands, flags and job ids in bash, zsh, fish or powershell",
		Example: `  source <(shoal completion bash)                 in this shell
  shoal completion fish > ~/.config/fish/completions/shoal.fish`,
		Args:      exactArgs("SHELL"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.stdout, true)
			case "zsh":
				return root.GenZshCompletion(p.stdout)
			case "fish":
				return root.GenFishCompletion(p.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(p.stdout)
			}
			hint := "shoal completion bash, zsh, fish or powershell"
			if near := nearest(args[0], shells); near != "" {
				hint = "did you mean: shoal completion " + near
			}
			return usage(hint, "no completion for %q", args[0])
		},
	}
}

// completes has every command below cmd offer, for each argument and flag, what it takes, and
// files only where it takes a file. What a command has set up itself stays.
func (p *program) completes(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		p.completes(c)
	}
	if cmd.ValidArgsFunction == nil && cmd.ValidArgs == nil {
		cmd.ValidArgsFunction = argumentOffers(cmd)
	}
	each := func(f *pflag.Flag) {
		if _, done := cmd.GetFlagCompletionFunc(f.Name); done || f.Value.Type() == "bool" {
			return
		}
		// It fails only for a flag that is not there, or has one already.
		_ = cmd.RegisterFlagCompletionFunc(f.Name, p.flagOffers(f))
	}
	cmd.Flags().VisitAll(each)
	cmd.PersistentFlags().VisitAll(each)
}

// argumentOffers is what a command's arguments may be, by what its usage calls them.
func argumentOffers(cmd *cobra.Command) cobra.CompletionFunc {
	_, wants, _ := strings.Cut(cmd.Use, " ")
	switch {
	case strings.HasPrefix(wants, "PROGRAM"):
		return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{"wasm"}, cobra.ShellCompDirectiveFilterFileExt
			}
			return nil, cobra.ShellCompDirectiveDefault
		}
	case strings.Contains(wants, "FILE"):
		return nil // the shell's own
	case strings.HasPrefix(wants, "[DURATION]"):
		return firstOnly("30m", "1h", "8h")
	}
	return cobra.NoFileCompletions
}

// firstOnly offers words for the first argument.
func firstOnly(words ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// flagOffers is what a flag may be: by its name, else by what its usage calls its value.
func (p *program) flagOffers(f *pflag.Flag) cobra.CompletionFunc {
	switch f.Name {
	case "output":
		return cobra.FixedCompletions([]string{formatTable + "\tfor people", formatJSON + "\tone document", formatJSONL + "\ta document a line"}, cobra.ShellCompDirectiveNoFileComp)
	case "verify":
		return cobra.FixedCompletions(levelWords(), cobra.ShellCompDirectiveNoFileComp)
	case "nan":
		return cobra.FixedCompletions(nanWords(), cobra.ShellCompDirectiveNoFileComp)
	case "when":
		return cobra.FixedCompletions([]string{"idle", "always", "never"}, cobra.ShellCompDirectiveNoFileComp)
	case "log-level":
		return cobra.FixedCompletions(logLevels(), cobra.ShellCompDirectiveNoFileComp)
	case "for":
		return cobra.FixedCompletions(serviceSystems(), cobra.ShellCompDirectiveNoFileComp)
	case "bootstrap":
		return p.completeAddr
	case "program":
		return cobra.FixedCompletions([]string{"wasm"}, cobra.ShellCompDirectiveFilterFileExt)
	}
	switch value, _ := pflag.UnquoteUsage(f); value {
	case "FILE":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case "DIR":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	case "JOB":
		return p.completeJobs
	case "PEER":
		return p.completePeer
	}
	return cobra.NoFileCompletions
}

// settingNames completes the name of a setting and, behind it, a value where there are few.
func settingNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var offers []string
	for _, s := range config.Settings() {
		switch {
		case len(args) == 0:
			offers = append(offers, cobra.CompletionWithDesc(s.Name, s.About))
		case len(args) > 1 || s.Name != args[0] || cmd.Name() != "set":
		case s.OnOff:
			offers = append(offers, "true", "false")
		case s.Name == "when":
			offers = append(offers, "idle", "always", "never")
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// completeJob offers the ids of the jobs that the running node knows, to a shell, for one argument.
func (p *program) completeJob(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeJobs(cmd, args, begun)
}

// completeJobs offers them for each argument.
func (p *program) completeJobs(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	s, err := p.running()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []string
	for _, j := range knownJobs(cmd.Context(), s) {
		offers = append(offers, cobra.CompletionWithDesc(words.Short(j.id), j.label))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// completePeer offers the peers that the running node is connected with.
func (p *program) completePeer(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.offerPeers(cmd, func(peer *api.Peer) string {
		return cobra.CompletionWithDesc(peer.Peer, where([]string{peer.Addr}))
	})
}

// completeAddr offers their addresses.
func (p *program) completeAddr(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.offerPeers(cmd, func(peer *api.Peer) string {
		return cobra.CompletionWithDesc(strings.TrimSuffix(peer.Addr, "/p2p/"+peer.Peer)+"/p2p/"+peer.Peer, peer.Agent)
	})
}

func (p *program) offerPeers(cmd *cobra.Command, offer func(*api.Peer) string) ([]string, cobra.ShellCompDirective) {
	s, err := p.running()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askTime)
	defer cancel()
	peers, err := s.Peers(ctx)
	if err != nil { // no node: nothing to offer
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []string
	for i := range peers {
		offers = append(offers, printable(offer(&peers[i])))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}
