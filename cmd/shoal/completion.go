package main

import "github.com/spf13/cobra"

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
			return usage("shoal completion bash, zsh, fish or powershell", "no completion for %q", args[0])
		},
	}
}
