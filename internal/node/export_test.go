package node

import (
	"context"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Handle is what a peer's request comes to.
var Handle = (*Node).handle

// KeptPrefix begins the names of owners for whom others' blobs are kept.
const KeptPrefix = keptPrefix

// Offer puts a blob into a node, for others to fetch.
func Offer(ctx context.Context, n *Node, data []byte) (jobs.Blob, error) {
	b, err := n.blobs.PutBytes(data)
	if err != nil {
		return b, err
	}
	return b, n.blobs.Hold(ctx, keptPrefix+"test", b, time.Now().Add(time.Hour))
}

// Fetch has a node get a blob from another and hold it for an owner.
func Fetch(ctx context.Context, n *Node, owner string, b jobs.Blob, from jobs.NodeID) error {
	return n.blobs.Fetch(ctx, owner, b, []jobs.NodeID{from}, time.Now().Add(time.Hour))
}

// Keeps reports whether a node has a blob, after everything that nobody holds is gone.
func Keeps(ctx context.Context, n *Node, b jobs.Blob) (bool, error) {
	_, err := n.store.Blobs().GC(ctx, time.Now())
	return n.blobs.Has(b.Digest), err
}
