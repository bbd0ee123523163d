package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

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
	// searchDelay is how long bitswap waits before it asks who has a blob, searchAgain how
	// long before it asks again while a fetch stands still.
	searchDelay = 20 * time.Millisecond
	searchAgain = 2 * time.Second
	// wantsPerPeer bounds the blocks that one peer can have on its list here.
	wantsPerPeer = 256
	// maxBlobMessage is the longest message of bitswap: a block, or wants, and their names.
	maxBlobMessage = 2 << 20
	// blobWorkers bounds the blocks read at once for others.
	blobWorkers = 8
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
	safe := guard(h.host, maxBlobMessage, h.gate.offend)
	safe.serve(true)
	net := bsnet.NewFromIpfsHost(safe, bsnet.Prefix(h.cfg.prefix()), bsnet.SupportedProtocols([]protocol.ID{bsnet.ProtocolBitswap}))
	swap := bitswap.New(h.ctx, net, who, served{source},
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

// busy reports whether blocks are under way to or from a peer.
func (b *blobs) busy(p peer.ID) bool {
	return b.who.asked(p) || len(b.swap.WantlistForPeer(p)) > 0
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

// asked reports whether blocks are being fetched from p.
func (h *holders) asked(p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.wanted {
		if slices.Contains(w.peers, p) {
			return true
		}
	}
	return false
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
