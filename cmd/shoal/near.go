package main

// What a person may have meant by a word that is none.

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// nearest is the one of some words that is most like the given one, or "" where none is near: two
// letters off, one for short words; or a longer word that begins so.
func nearest(word string, words []string) string {
	best, least := "", min(3, 1+(len(word)+1)/2)
	for _, w := range words {
		d := distance(w, word)
		if len(word) >= 3 && strings.HasPrefix(w, word) {
			d = min(d, 1)
		}
		if d < least {
			best, least = w, d
		}
	}
	return best
}

// oneOf refuses a value that is none of a flag's words, with the one that may have been meant.
func oneOf(flag, value string, words []string) error {
	if slices.Contains(words, value) {
		return nil
	}
	last := len(words) - 1
	choice := strings.Join(words[:last], ", ") + " or " + words[last]
	hint := "use --" + flag + " " + choice
	if near := nearest(value, words); near != "" {
		hint = "did you mean: --" + flag + " " + near
	}
	return usage(hint, "--%s %q: not %s", flag, value, choice)
}

// unknownCommand is a word that parent has no command for.
func unknownCommand(parent *cobra.Command, name string) error {
	var words []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
			words = append(words, c.Name())
		}
	}
	hint := parent.CommandPath() + " --help lists the commands"
	if near := nearest(name, words); near != "" {
		hint = "did you mean: " + parent.CommandPath() + " " + near
	}
	return usage(hint, "no command %q", strings.TrimPrefix(parent.CommandPath()+" "+name, "shoal "))
}

// nearFlag is the flag of a command with the name most like the given one, or "".
func nearFlag(cmd *cobra.Command, name string) string {
	var words []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { words = append(words, f.Name) })
	return nearest(name, words)
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour that
// makes b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
