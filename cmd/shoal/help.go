package main

import "github.com/spf13/cobra"

// helpTemplate shows what a command is for, how it is used in practice, then the rest.
const helpTemplate = `{{.Short}}
{{if .HasExample}}
Examples:
{{.Example}}
{{end}}{{if .Long}}
{{.Long | trimTrailingWhitespaces}}
{{end}}{{if or .Runnable .HasSubCommands}}
Usage:
  {{.UseLine}}
{{end}}{{$cmd := .}}{{range $group := .Groups}}
{{.Title}}{{range $cmd.Commands}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if not .HasParent}}
shoal help exit-codes says what the exit codes mean, shoal help donating what donors ask.
{{end}}`

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean.",
		Long: `  0    done
  1    unexpected failure
  2    wrong call: flag, argument, combination; a value that is none of its kind
  3    no node is running, and the command needs one
  4    not found: job, program, input
  5    some inputs failed; the others were delivered
  6    not finished, or timed out: the job goes on
  7    refused: program, policy or limits; a value of a job beyond what the grid gives
  130  interrupted: the job goes on where the grid can`,
	}
}
