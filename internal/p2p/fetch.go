package p2p

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
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
	// at 140 kbit/s.
	stalled = time.Minute
	// watchEvery is how often a fetch looks after its connections, patience how long no block
	// may come before it asks anew; twice as long the next time.
	watchEvery = time.Second
	patience   = 10 * time.Second
)

// ErrStalled is returned by Fetch when no block has come for a minute: the holders that
// can be reached do not have what is missing.
var ErrStalled = errors.New("no block has come for a minute")

// errAgain ends an attempt that another one may better.
var errAgain = errors.New("ask anew")

// Fetch gets a blob from its holders, several at once: first the list of its blocks, then
// every block that have does not know. Each is verified, then given to put, one at a time and
// in any order. After an error Fetch can be called again and goes on where it was, because
// the caller has kept the blocks.
func (h *Host) Fetch(ctx context.Context, b jobs.Blob, from []jobs.NodeID, have func(jobs.Digest) bool, put func(block jobs.Digest, data []byte) error) error {
	if b.Size > jobs.MaxBlob {
		return fmt.Errorf("fetch %s: %d bytes: at most %d", b.Digest, b.Size, uint64(jobs.MaxBlob))
	}
	f := &fetch{host: h, blob: b, have: have, put: put, sizes: make(map[jobs.Digest]int), last: time.Now()}
	for patience := patience; ; patience *= 2 {
		err := f.attempt(ctx, from, patience)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errAgain) {
			return fmt.Errorf("fetch %s: %w", b.Digest, err)
		}
	}
}

// meet connects with the holders, those that can be.
func (h *Host) meet(ctx context.Context, from []jobs.NodeID) []peer.ID {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	from = from[:min(len(from), maxHolders)]
	met := make([]bool, len(from))
	var wg sync.WaitGroup
	for i, n := range from {
		wg.Go(func() { met[i] = n != h.self && h.dial(ctx, peerOf(n)) == nil && h.direct(ctx, peerOf(n)) })
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

// direct waits for a direct connection to a peer that is being dialled: relays carry no blobs,
// but holes are punched once two nodes are connected through one.
func (h *Host) direct(ctx context.Context, p peer.ID) bool {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for h.host.Network().Connectedness(p) != network.Connected {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// fetch is one blob on its way here.
type fetch struct {
	host    *Host
	blob    jobs.Blob
	have    func(jobs.Digest) bool
	sizes   map[jobs.Digest]int // of the blocks; complete before blocks are fetched
	missing []jobs.Digest       // the blocks to fetch, once listed
	listed  bool

	holders []peer.ID // of this attempt
	session exchange.Fetcher

	mu   sync.Mutex // guards what follows, and serialises put
	put  func(jobs.Digest, []byte) error
	came map[jobs.Digest]bool
	last time.Time // when the last block came
}

// attempt fetches what is missing by one bitswap session. A session does not get over
// everything: wants that were lost with a connection it may wait for until doomsday.
func (f *fetch) attempt(ctx context.Context, from []jobs.NodeID, patience time.Duration) error {
	if f.blob.Blocks() == 1 && f.have(f.blob.Digest) {
		return nil
	}
	f.holders = f.host.meet(ctx, from)
	if len(f.holders) == 0 {
		return cmp.Or(ctx.Err(), fmt.Errorf("none of %d holders can be reached", len(from)))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.session = f.host.blobs.swap.NewSession(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { cancel(f.watch(ctx, patience)) })
	err := f.run(ctx)
	cancel(nil)
	watch.Wait()
	return err
}

// watch ends an attempt when no block comes: for good after a minute, for another attempt when
// patience is at its end or a holder's connection is not the one that was asked.
func (f *fetch) watch(ctx context.Context, patience time.Duration) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	asked, begin := f.connections(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			f.mu.Lock()
			last := f.last
			f.mu.Unlock()
			switch quiet := now.Sub(last); {
			case quiet >= stalled:
				return ErrStalled
			case quiet >= patience && now.Sub(begin) >= patience:
				return errAgain
			case quiet >= watchEvery && !maps.Equal(asked, f.connections()):
				return errAgain
			}
		}
	}
}

// connections are the IDs of the connections with the holders.
func (f *fetch) connections() map[string]bool {
	ids := make(map[string]bool)
	for _, p := range f.holders {
		for _, c := range f.host.host.Network().ConnsToPeer(p) {
			ids[c.ID()] = true
		}
	}
	return ids
}

func (f *fetch) run(ctx context.Context) error {
	if !f.listed {
		list, err := f.list(ctx)
		if err != nil {
			return err
		}
		if err := f.plan(list); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.missing = slices.DeleteFunc(f.missing, func(d jobs.Digest) bool { return f.came[d] })
	clear(f.came)
	f.mu.Unlock()
	return f.blocks(ctx, f.missing)
}

// plan works out what is missing and how big each block must be.
func (f *fetch) plan(list []jobs.Digest) error {
	for i, d := range list {
		size := int(min(jobs.BlockSize, f.blob.Size-uint64(i)*jobs.BlockSize))
		known, twice := f.sizes[d]
		switch {
		case twice && known != size:
			return fmt.Errorf("%d bytes do not make these blocks", f.blob.Size)
		case !twice && !f.have(d):
			f.missing = append(f.missing, d)
		}
		f.sizes[d] = size
	}
	f.came = make(map[jobs.Digest]bool)
	f.listed = true
	return nil
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
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.put(d, data); err != nil {
		return err
	}
	f.last = time.Now()
	if f.listed {
		f.came[d] = true
	}
	return nil
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
