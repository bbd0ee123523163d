package api

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// BenchmarkResults is what it costs to hand answers from a node to a command.
func BenchmarkResults(b *testing.B) {
	for name, size := range map[string]int{"small": 5, "1MiB": 1 << 20} {
		for _, follow := range []bool{false, true} {
			if follow {
				name += ",follow"
			}
			b.Run(name, func(b *testing.B) {
				output := bytes.Repeat([]byte("x"), size)
				c, _ := serve(b, &bench{results: func(_ context.Context, _ ResultsOptions, f func(Result, io.Reader) error) error {
					for i := range b.N {
						if err := f(Result{N: int64(i + 1), Outcome: OutcomeOK, Size: int64(size)}, bytes.NewReader(output)); err != nil {
							return err
						}
					}
					return nil
				}})
				b.SetBytes(int64(size))
				b.ResetTimer()
				n := 0
				err := c.Results(b.Context(), "x", ResultsOptions{Follow: follow}, func(Result, io.Reader) error { n++; return nil })
				if err != nil || n != b.N {
					b.Fatalf("%d results of %d, %v", n, b.N, err)
				}
			})
		}
	}
}

// BenchmarkStatus is one question and its answer.
func BenchmarkStatus(b *testing.B) {
	c, _ := serve(b, &bench{})
	for b.Loop() {
		if _, err := c.Status(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
