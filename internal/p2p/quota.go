package p2p

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

const (
	// maxRecords bounds the DHT value records stored for others, one per live job, and as many
	// provider records: nodes that have said they carry the board.
	maxRecords = 4096
)

var errQuota = errors.New("DHT store is full")

// quotaStore bounds what kad-dht stores for others: its handlers take whatever a peer puts.
// Value records were validated before they come here; of provider records only those of the
// board are kept, because the grid asks for no others.
type quotaStore struct {
	ds.Batching
	board string // prefix of the provider records that are kept

	mu     sync.Mutex
	values int
	boards int
}

const providersPrefix = "/providers/"

func newQuotaStore(inner ds.Batching, board string) (*quotaStore, error) {
	q := &quotaStore{Batching: inner, board: board}
	found, err := inner.Query(context.Background(), query.Query{KeysOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read DHT store: %w", err)
	}
	defer found.Close()
	for r := range found.Next() {
		if r.Error != nil {
			return nil, fmt.Errorf("read DHT store: %w", r.Error)
		}
		*q.count(ds.RawKey(r.Key))++
	}
	return q, nil
}

// count is the counter that a key belongs to.
func (q *quotaStore) count(k ds.Key) *int {
	if strings.HasPrefix(k.String(), providersPrefix) {
		return &q.boards
	}
	return &q.values
}

// Put stores a record unless that would be one too many.
func (q *quotaStore) Put(ctx context.Context, k ds.Key, value []byte) error {
	if strings.HasPrefix(k.String(), providersPrefix) && !strings.HasPrefix(k.String(), q.board) {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	known, err := q.Batching.Has(ctx, k)
	if err != nil {
		return err
	}
	n := q.count(k)
	if !known && *n >= maxRecords {
		return errQuota
	}
	if err := q.Batching.Put(ctx, k, value); err != nil {
		return err
	}
	if !known {
		*n++
	}
	return nil
}

// Delete removes a record.
func (q *quotaStore) Delete(ctx context.Context, k ds.Key) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	known, err := q.Batching.Has(ctx, k)
	if err != nil || !known {
		return err
	}
	if err := q.Batching.Delete(ctx, k); err != nil {
		return err
	}
	*q.count(k)--
	return nil
}

// Batch returns a batch whose writes go through Put and Delete.
func (q *quotaStore) Batch(context.Context) (ds.Batch, error) { return &quotaBatch{store: q}, nil }

// quotaBatch applies its writes one by one: kad-dht batches at most 256 small records.
type quotaBatch struct {
	store *quotaStore
	ops   []func(context.Context) error
}

// Put adds a write to the batch.
func (b *quotaBatch) Put(_ context.Context, k ds.Key, value []byte) error {
	b.ops = append(b.ops, func(ctx context.Context) error {
		err := b.store.Put(ctx, k, value)
		if errors.Is(err, errQuota) {
			return nil // one provider too many must not lose the others of its batch
		}
		return err
	})
	return nil
}

// Delete adds a removal to the batch.
func (b *quotaBatch) Delete(_ context.Context, k ds.Key) error {
	b.ops = append(b.ops, func(ctx context.Context) error { return b.store.Delete(ctx, k) })
	return nil
}

// Commit applies the batch.
func (b *quotaBatch) Commit(ctx context.Context) error {
	for _, op := range b.ops {
		if err := op(ctx); err != nil {
			return err
		}
	}
	b.ops = nil
	return nil
}
