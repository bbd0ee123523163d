// Wordfreq reads text and prints each word in it, in lower case, with how often it is
// there, in alphabetical order. A word is a run of the letters a to z.
//
//	shoal run wordfreq.wasm --lines text.txt | awk '{n[$1] += $2} END {for (w in n) print w, n[w]}' | sort
package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

func main() {
	if err := count(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wordfreq:", err)
		os.Exit(1)
	}
}

func count(r io.Reader, w io.Writer) error {
	counts := map[string]int{}
	var word []byte
	end := func() {
		if len(word) > 0 {
			counts[string(word)]++
		}
		word = word[:0]
	}
	in := bufio.NewReader(r)
	for {
		c, err := in.ReadByte()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		switch lower := c | 0x20; {
		case 'a' <= lower && lower <= 'z':
			word = append(word, lower)
		default:
			end()
		}
	}
	end()
	out := bufio.NewWriter(w)
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintln(out, word, counts[word])
	}
	return out.Flush()
}
