package node

import (
	"context"
	"maps"
	"sync"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
)

// names is what nodes called themselves when they were met. Nobody vouches for it.
type names struct {
	disk disk.Disk
	mu   sync.Mutex
	of   map[jobs.NodeID]string
}

// maxNames bounds the nodes whose names are remembered.
const maxNames = 1024

func openNames(d disk.Disk) (*names, error) {
	b := &names{disk: d, of: map[jobs.NodeID]string{}}
	return b, d.Scan(nil, func(key, value []byte) error {
		if len(key) == len(jobs.NodeID{}) && len(b.of) < maxNames && jobs.ValidNodeName(string(value)) == nil {
			b.of[jobs.NodeID(key)] = string(value)
		}
		return nil
	})
}

// get is a node's name, or "".
func (b *names) get(id jobs.NodeID) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[id]
}

// all are the names that are known.
func (b *names) all() map[jobs.NodeID]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[jobs.NodeID]string, len(b.of))
	maps.Copy(out, b.of)
	return out
}

// learn remembers a name, if it is one; some other is forgotten where there are too many.
func (b *names) learn(ctx context.Context, id jobs.NodeID, name string) error {
	if jobs.ValidNodeName(name) != nil {
		return nil
	}
	b.mu.Lock()
	same := b.of[id] == name
	var forget []byte
	if !same {
		if _, known := b.of[id]; !known && len(b.of) >= maxNames {
			for other := range b.of {
				forget = other[:]
				delete(b.of, other)
				break
			}
		}
		b.of[id] = name
	}
	b.mu.Unlock()
	if same {
		return nil
	}
	if forget != nil {
		if err := b.disk.Delete(ctx, forget); err != nil {
			return err
		}
	}
	return b.disk.Put(ctx, disk.Pair{Key: id[:], Value: []byte(name)})
}

// nameOf is what a node is called, this one included, or "".
func (n *Node) nameOf(id jobs.NodeID) string {
	if id == n.self {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.lending.config.Name
	}
	return n.names.get(id)
}

// learnNames remembers what the connected peers call themselves.
func (n *Node) learnNames(ctx context.Context) {
	for id, name := range n.net.called() {
		if err := n.names.learn(ctx, id, name); err != nil {
			n.log.Debug("a name could not be remembered", "error", err)
		}
	}
}
