package collect

import (
	"context"
	"errors"
	"io"

	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// ErrNoInput says that a job has no input of that number.
var ErrNoInput = errors.New("no such input")

// One calls f with the answer of one input, counted from 0, or with an open one. Output is only
// good within the call.
func (c *Collector) One(ctx context.Context, number uint64, provisional bool, f func(a Answer, output io.Reader) error) error {
	for shard := range c.job.Head.Shards() {
		ref := protocol.ShardRef{Job: c.job.ID, Shard: shard}
		m, err := c.manifest(ctx, ref)
		if err != nil {
			return err
		}
		for n := range m.Units {
			first := m.FirstInput(n)
			if number < first || number >= first+uint64(m.Units[n].Count) {
				continue
			}
			return c.eachOf(ctx, ref, m, n, provisional, func(a Answer, output io.Reader) error {
				if a.Number != number {
					return nil
				}
				return f(a, output)
			})
		}
	}
	return ErrNoInput
}
