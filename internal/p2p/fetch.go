package p2p

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/boxo/exchange"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shoalgrid/shoal/jobs"
)

const (
	// fetchBatch is how many blocks are asked for in one go, fetchBatches how many such goes
	// are under way: together they bound a fetch's memory, 16 MiB.
	fetchBatch   = 8
	fetchBatches = 2
	// maxHolders bounds the nodes that one fetch asks.
	maxHolders = 16
	// stalled is how long no block may come before a fetch gives up: a block takes that long
	// at 140 kbit/s. watchEvery is how often a fetch looks after its connections.
	stalled    = time.Minute
	watchEvery = 5 * time.Second
)

// ErrStalled is returned by Fetch when no block has come for a minute: the holders that
// can be reached do not have what is missing.
var ErrStalled = errors.New("no block has come for a minute")

// Fetch gets a blob from its holders, several at once: first the list of its blocks, then
// every block that have does not know. Each is verified, then given to put, one at a time and
// in any order. After an error Fetch can be called again and goes on where it was, because
// the caller has kept the blocks.
func (h *Host) Fetch(ctx context.Context, b jobs.Blob, from []jobs.NodeID, have func(jobs.Digest) bool, put func(block jobs.Digest, data []byte) error) error {
	if b.Size > jobs.MaxBlob {
		return fmt.Errorf("fetch %s: %d bytes: at most %d", b.Digest, b.Size, uint64(jobs.MaxBlob))
	}
	if b.Blocks() == 1 && have(b.Digest) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &fetch{host: h, blob: b, have: have, put: put, sizes: make(map[jobs.Digest]int)}
	f.session = h.blobs.swap.NewSession(ctx)
	f.holders = h.meet(ctx, from)
	if len(f.holders) == 0 {
		return fmt.Errorf("fetch %s: none of %d holders can be reached", b.Digest, len(from))
	}
	var watch sync.WaitGroup
	watch.Go(func() { cancel(f.watch(ctx, from)) })
	err := f.run(ctx)
	cancel(nil)
	watch.Wait()
	if err != nil {
		return fmt.Errorf("fetch %s: %w", b.Digest, err)
	}
	return nil
}

// meet connects with the holders, those that can be.
func (h *Host) meet(ctx context.Context, from []jobs.NodeID) []peer.ID {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	from = from[:min(len(from), maxHolders)]
	met := make([]bool, len(from))
	var wg sync.WaitGroup
	for i, n := range from {
		wg.Go(func() { met[i] = n != h.self && h.dial(ctx, peerOf(n)) == nil })
	}
	wg.Wait()
	var holders []peer.ID
	for i, n := range from {
		if met[i] {
			holders = append(holders, peerOf(n))
		}
	}
	return holders
}

// fetch is one blob on its way here.
type fetch struct {
	host    *Host
	blob    jobs.Blob
	holders []peer.ID
	have    func(jobs.Digest) bool
	session exchange.Fetcher
	sizes   map[jobs.Digest]int // of the blocks; complete before blocks are fetched
	came    atomic.Int64        // blocks so far

	mu  sync.Mutex // serialises put
	put func(jobs.Digest, []byte) error
}

// watch dials the holders again when all are gone, and gives up when nothing comes.
func (f *fetch) watch(ctx context.Context, from []jobs.NodeID) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	seen, since := f.came.Load(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if n := f.came.Load(); n != seen {
				seen, since = n, now
			}
			if now.Sub(since) >= stalled {
				return ErrStalled
			}
			if !f.connected() && len(f.host.meet(ctx, from)) == 0 && ctx.Err() == nil {
				return errors.New("the holders are gone")
			}
		}
	}
}

func (f *fetch) connected() bool {
	for _, p := range f.holders {
		if f.host.host.Network().Connectedness(p) == network.Connected {
			return true
		}
	}
	return false
}

func (f *fetch) run(ctx context.Context) error {
	list, err := f.list(ctx)
	if err != nil {
		return err
	}
	var missing []jobs.Digest
	for i, d := range list {
		size := int(min(jobs.BlockSize, f.blob.Size-uint64(i)*jobs.BlockSize))
		known, twice := f.sizes[d]
		switch {
		case twice && known != size:
			return fmt.Errorf("%d bytes do not make these blocks", f.blob.Size)
		case !twice && !f.have(d):
			missing = append(missing, d)
		}
		f.sizes[d] = size
	}
	return f.blocks(ctx, missing)
}

// list returns the digests of the blob's blocks. The block that holds them is read where the
// caller has it, else fetched.
func (f *fetch) list(ctx context.Context) ([]jobs.Digest, error) {
	n := f.blob.Blocks()
	if n == 1 {
		return []jobs.Digest{f.blob.Digest}, nil
	}
	f.sizes[f.blob.Digest] = n * sha256.Size
	data, err := f.ownList(ctx)
	if err != nil {
		if data, err = f.one(ctx, f.blob.Digest); err != nil {
			return nil, fmt.Errorf("list of blocks: %w", err)
		}
		if err := f.store(f.blob.Digest, data); err != nil {
			return nil, fmt.Errorf("list of blocks: %w", err)
		}
	}
	list := make([]jobs.Digest, n)
	for i := range list {
		list[i] = jobs.Digest(data[i*sha256.Size:])
	}
	return list, nil
}

func (f *fetch) ownList(ctx context.Context) ([]byte, error) {
	if f.host.cfg.Blocks == nil || !f.have(f.blob.Digest) {
		return nil, fs.ErrNotExist
	}
	data, err := f.host.cfg.Blocks.Block(ctx, f.blob.Digest)
	if err != nil {
		return nil, err
	}
	return data, f.check(f.blob.Digest, data)
}

func (f *fetch) one(ctx context.Context, d jobs.Digest) ([]byte, error) {
	defer f.host.blobs.who.want([]cid.Cid{blockCID(d)}, f.holders)()
	b, err := f.session.GetBlock(ctx, blockCID(d))
	if err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	return b.RawData(), nil
}

// blocks fetches the missing blocks, a few batches at a time.
func (f *fetch) blocks(ctx context.Context, missing []jobs.Digest) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []jobs.Digest)
	var wg sync.WaitGroup
	for range fetchBatches {
		wg.Go(func() {
			for batch := range batches {
				if err := f.batch(ctx, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	for len(missing) > 0 && ctx.Err() == nil {
		batch := missing[:min(fetchBatch, len(missing))]
		missing = missing[len(batch):]
		select {
		case batches <- batch:
		case <-ctx.Done():
		}
	}
	close(batches)
	wg.Wait()
	return context.Cause(ctx)
}

func (f *fetch) batch(ctx context.Context, batch []jobs.Digest) error {
	keys := make([]cid.Cid, len(batch))
	for i, d := range batch {
		keys[i] = blockCID(d)
	}
	defer f.host.blobs.who.want(keys, f.holders)()
	found, err := f.session.GetBlocks(ctx, keys)
	if err != nil {
		return err
	}
	n := 0
	for b := range found {
		if err := f.store(jobs.Digest(b.Cid().Hash()[2:]), b.RawData()); err != nil {
			return err
		}
		n++
	}
	if n < len(batch) {
		return cmp.Or(context.Cause(ctx), fmt.Errorf("%d of %d blocks did not come", len(batch)-n, len(batch)))
	}
	return nil
}

// store gives a block to the caller.
func (f *fetch) store(d jobs.Digest, data []byte) error {
	if err := f.check(d, data); err != nil {
		return err
	}
	f.came.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put(d, data)
}

// check verifies a block. Bitswap computes names from the bytes it gets, so bytes of another
// digest do not come this far; the promise must not hang on that.
func (f *fetch) check(d jobs.Digest, data []byte) error {
	switch {
	case len(data) != f.sizes[d]:
		return fmt.Errorf("block %s has %d bytes, the blob's size says %d", d, len(data), f.sizes[d])
	case jobs.Sum(data) != d:
		return fmt.Errorf("block %s is not what its name says", d)
	}
	return nil
}
