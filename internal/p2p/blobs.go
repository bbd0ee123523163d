package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/exchange"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shoalgrid/shoal/jobs"
)

// BlockSource is where the blocks that other nodes ask for are found: bytes named by their
// SHA-256, 1 MiB at most. The list of a blob's blocks is a block too.
type BlockSource interface {
	// Block returns a block's bytes; an error that is fs.ErrNotExist says that it is not here.
	Block(ctx context.Context, d jobs.Digest) ([]byte, error)
	// HasBlock reports whether a block is here.
	HasBlock(ctx context.Context, d jobs.Digest) (bool, error)
	// BlockSize returns a block's size; an error that is fs.ErrNotExist says that it is not here.
	BlockSize(ctx context.Context, d jobs.Digest) (int, error)
}

const (
	// fetchBatch is how many blocks are asked for in one go, fetchBatches how many such goes
	// are under way: together they bound a fetch's memory, 16 MiB.
	fetchBatch   = 8
	fetchBatches = 2
	// searchDelay is how long bitswap waits before it asks who has a blob, searchAgain how
	// long before it asks again while a fetch stands still.
	searchDelay = 20 * time.Millisecond
	searchAgain = 2 * time.Second
	// wantsPerPeer bounds the blocks that one peer can have on its list here.
	wantsPerPeer = 256
	// blobWorkers bounds the blocks read at once for others.
	blobWorkers = 8
	// maxHolders bounds the nodes that one fetch asks.
	maxHolders = 16
)

// blobs moves blobs by bitswap.
type blobs struct {
	swap *bitswap.Bitswap
	who  *holders
}

func startBlobs(h *Host) *blobs {
	who := &holders{wanted: make(map[cid.Cid]*wanted)}
	source := h.cfg.Blocks
	if source == nil {
		source = noBlocks{}
	}
	swap := bitswap.New(h.ctx, bsnet.NewFromIpfsHost(h.host, bsnet.Prefix(h.cfg.prefix())), who, served{source},
		bitswap.ProviderSearchDelay(searchDelay),
		bitswap.RebroadcastDelay(searchAgain),
		bitswap.MaxQueuedWantlistEntriesPerPeer(wantsPerPeer),
		bitswap.EngineBlockstoreWorkerCount(blobWorkers),
		bitswap.TaskWorkerCount(blobWorkers),
		bitswap.SetSendDontHaves(true),
		bitswap.WithoutDuplicatedBlockStats(),
		// A fetch names its holders; asking every connected peer as well would cost each of
		// them a message for each block.
		bitswap.WithClientOption(client.BroadcastControlEnable(true)),
		bitswap.WithClientOption(client.BroadcastControlMaxPeers(0)),
		bitswap.WithClientOption(client.WithDefaultProviderQueryManager(false)))
	return &blobs{swap: swap, who: who}
}

func (b *blobs) close() { _ = b.swap.Close() }

// Fetch gets a blob from its holders, several at once: first the list of its blocks, then
// every block that have does not know. Each is verified, then given to put, one at a time and
// in any order. After an error Fetch can be called again and goes on where it was, because
// the caller has kept the blocks.
func (h *Host) Fetch(ctx context.Context, b jobs.Blob, from []jobs.NodeID, have func(jobs.Digest) bool, put func(block jobs.Digest, data []byte) error) error {
	if b.Size > jobs.MaxBlob {
		return fmt.Errorf("fetch %s: %d bytes: at most %d", b.Digest, b.Size, uint64(jobs.MaxBlob))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &fetch{host: h, blob: b, have: have, put: put, session: h.blobs.swap.NewSession(ctx)}
	f.holders = h.meetHolders(ctx, from)
	if len(f.holders) == 0 {
		return fmt.Errorf("fetch %s: none of %d holders can be reached", b.Digest, len(from))
	}
	if err := f.run(ctx); err != nil {
		return fmt.Errorf("fetch %s: %w", b.Digest, err)
	}
	return nil
}

// meetHolders connects with the holders, those that can be.
func (h *Host) meetHolders(ctx context.Context, from []jobs.NodeID) []peer.ID {
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

	mu  sync.Mutex // serialises put
	put func(jobs.Digest, []byte) error
}

func (f *fetch) run(ctx context.Context) error {
	list, err := f.list(ctx)
	if err != nil {
		return err
	}
	var missing []jobs.Digest
	seen := make(map[jobs.Digest]bool, len(list))
	for _, d := range list {
		if !seen[d] && !f.have(d) {
			missing = append(missing, d)
		}
		seen[d] = true
	}
	return f.blocks(ctx, missing)
}

// list returns the digests of the blob's blocks, fetching the block that holds them.
func (f *fetch) list(ctx context.Context) ([]jobs.Digest, error) {
	n := f.blob.Blocks()
	if n == 1 {
		return []jobs.Digest{f.blob.Digest}, nil
	}
	data, err := f.one(ctx, f.blob.Digest)
	if err != nil {
		return nil, fmt.Errorf("list of blocks: %w", err)
	}
	if len(data) != n*sha256.Size {
		return nil, fmt.Errorf("list of blocks has %d bytes, not %d", len(data), n*sha256.Size)
	}
	list := make([]jobs.Digest, n)
	for i := range list {
		list[i] = jobs.Digest(data[i*sha256.Size:])
	}
	return list, f.store(f.blob.Digest, data)
}

func (f *fetch) one(ctx context.Context, d jobs.Digest) ([]byte, error) {
	defer f.host.blobs.who.want([]cid.Cid{blockCID(d)}, f.holders)()
	b, err := f.session.GetBlock(ctx, blockCID(d))
	if err != nil {
		return nil, err
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
		return errors.Join(context.Cause(ctx), fmt.Errorf("%d of %d blocks did not come", len(batch)-n, len(batch)))
	}
	return nil
}

// store gives a block to the caller. Bitswap computes names from the bytes it gets, so a wrong
// block does not come this far; the check keeps the promise where the libraries change.
func (f *fetch) store(d jobs.Digest, data []byte) error {
	if len(data) > jobs.BlockSize || jobs.Sum(data) != d {
		return fmt.Errorf("block %s is not what its name says", d)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put(d, data)
}

// holders tells bitswap who has the blocks that are being fetched.
type holders struct {
	mu     sync.Mutex
	wanted map[cid.Cid]*wanted
}

type wanted struct {
	fetches int
	peers   []peer.ID
}

// want names the holders of blocks until the returned function is called.
func (h *holders) want(keys []cid.Cid, peers []peer.ID) (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range keys {
		w := h.wanted[k]
		if w == nil {
			w = &wanted{}
			h.wanted[k] = w
		}
		w.fetches++
		w.peers = peers // two fetches of one blob: the later one knows better
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, k := range keys {
			if w := h.wanted[k]; w.fetches == 1 {
				delete(h.wanted, k)
			} else {
				w.fetches--
			}
		}
	}
}

// FindProvidersAsync implements routing.ContentDiscovery.
func (h *holders) FindProvidersAsync(_ context.Context, k cid.Cid, _ int) <-chan peer.AddrInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	var peers []peer.ID
	if w := h.wanted[k]; w != nil {
		peers = w.peers
	}
	found := make(chan peer.AddrInfo, len(peers))
	for _, p := range peers {
		found <- peer.AddrInfo{ID: p}
	}
	close(found)
	return found
}

// served shows a BlockSource to bitswap.
type served struct{ source BlockSource }

var errReadOnly = errors.New("blocks are not stored through bitswap")

// digestOf returns what a CID names, if it is one of ours.
func digestOf(c cid.Cid) (jobs.Digest, bool) {
	p := c.Prefix()
	if p.Version != 1 || p.Codec != cid.Raw || p.MhLength != sha256.Size {
		return jobs.Digest{}, false
	}
	d := jobs.Digest(c.Hash()[len(c.Hash())-sha256.Size:])
	return d, c == blockCID(d)
}

func notFound(c cid.Cid, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ipld.ErrNotFound{Cid: c}
	}
	return err
}

// Get implements blockstore.Blockstore.
func (s served) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	d, ok := digestOf(c)
	if !ok {
		return nil, ipld.ErrNotFound{Cid: c}
	}
	data, err := s.source.Block(ctx, d)
	if err != nil {
		return nil, notFound(c, err)
	}
	return blocks.NewBlockWithCid(data, c)
}

// Has implements blockstore.Blockstore.
func (s served) Has(ctx context.Context, c cid.Cid) (bool, error) {
	d, ok := digestOf(c)
	if !ok {
		return false, nil
	}
	return s.source.HasBlock(ctx, d)
}

// GetSize implements blockstore.Blockstore.
func (s served) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	d, ok := digestOf(c)
	if !ok {
		return 0, ipld.ErrNotFound{Cid: c}
	}
	n, err := s.source.BlockSize(ctx, d)
	return n, notFound(c, err)
}

// Put implements blockstore.Blockstore.
func (served) Put(context.Context, blocks.Block) error { return errReadOnly }

// PutMany implements blockstore.Blockstore.
func (served) PutMany(context.Context, []blocks.Block) error { return errReadOnly }

// DeleteBlock implements blockstore.Blockstore.
func (served) DeleteBlock(context.Context, cid.Cid) error { return errReadOnly }

// AllKeysChan implements blockstore.Blockstore.
func (served) AllKeysChan(context.Context) (<-chan cid.Cid, error) { return nil, errReadOnly }

// noBlocks is the source of a node that serves nothing.
type noBlocks struct{}

// Block implements BlockSource.
func (noBlocks) Block(context.Context, jobs.Digest) ([]byte, error) { return nil, fs.ErrNotExist }

// HasBlock implements BlockSource.
func (noBlocks) HasBlock(context.Context, jobs.Digest) (bool, error) { return false, nil }

// BlockSize implements BlockSource.
func (noBlocks) BlockSize(context.Context, jobs.Digest) (int, error) { return 0, fs.ErrNotExist }
