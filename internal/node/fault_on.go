//go:build shoalfault

package node

import (
	"bytes"
	"context"
	"io"
	"os"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker"
)

// A build with this file misbehaves on request, for tests of what others make of it:
//
//	SHOAL_FAULT=lie        flips a bit of every result
//	SHOAL_FAULT=seal-die   dies as soon as it has sealed, every time
//	SHOAL_FAULT=copy       computes nothing, and says what its neighbours say

func faultyRunner(r worker.Runner) worker.Runner {
	switch os.Getenv("SHOAL_FAULT") {
	case "lie":
		return liar{r}
	case "copy":
		return idler{}
	}
	return r
}

func (n *Node) faultyKeepers(k *client.Client) worker.Keepers {
	switch os.Getenv("SHOAL_FAULT") {
	case "seal-die":
		return mortal{k}
	case "copy":
		return &thief{Client: k, node: n, loots: map[place]*loot{}}
	}
	return k
}

type liar struct{ worker.Runner }

func (l liar) Start(ctx context.Context, p worker.Program) (worker.Guest, error) {
	g, err := l.Runner.Start(ctx, p)
	if err != nil {
		return nil, err
	}
	return lyingGuest{g}, nil
}

type lyingGuest struct{ worker.Guest }

func (g lyingGuest) Run(ctx context.Context, in worker.Input, stdout io.Writer) (worker.Report, error) {
	var out bytes.Buffer
	r, err := g.Guest.Run(ctx, in, &out)
	if err != nil || r.Tuple.Outcome != jobs.OK {
		return r, err
	}
	lie := append(out.Bytes(), '!')
	lie[0] ^= 1
	r.Tuple.Output, r.Tuple.Size = jobs.BlobOf(lie).Digest, uint64(len(lie))
	_, err = stdout.Write(lie)
	return r, err
}

// askable is worker.Keepers under a name that can be embedded beside its method of that name.
type askable interface{ worker.Keepers }

type mortal struct{ askable }

func (m mortal) Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error) {
	o, err := m.askable.Offer(ctx, ref, rs)
	for _, r := range rs {
		if r.Kind == jobs.KindSeal && err == nil {
			os.Exit(137)
		}
	}
	return o, err
}
