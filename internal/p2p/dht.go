package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	leveldb "github.com/ipfs/go-ds-leveldb"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	kbucket "github.com/libp2p/go-libp2p-kbucket"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/multiformats/go-base32"
	"github.com/multiformats/go-multihash"

	"github.com/shoalgrid/shoal/jobs"
)

// headSpace is the namespace of the DHT's value records: job heads.
const headSpace = "shoal"

// ErrNoHead is returned by GetHead when the DHT has no valid record of the job.
var ErrNoHead = errors.New("no such record in the DHT")

// openStore opens the datastore for what the DHT keeps for others.
func openStore(cfg Config) (ds.Batching, error) {
	var inner ds.Batching
	if cfg.Dir == "" {
		inner = dssync.MutexWrap(ds.NewMapDatastore())
	} else {
		dir := filepath.Join(cfg.Dir, "dht")
		store, err := leveldb.NewDatastore(dir, nil)
		if err != nil {
			return nil, fmt.Errorf("open DHT store %s: %w", dir, err)
		}
		inner = store
	}
	board := providersPrefix + base32.RawStdEncoding.EncodeToString(boardKey(cfg.Network).Hash()) + "/"
	q, err := newQuotaStore(inner, board)
	if err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return q, nil
}

func (h *Host) startDHT() (*dht.IpfsDHT, error) {
	return dht.New(h.serving,
		dht.Mode(dht.ModeServer), // whether it serves, reach.go decides
		dht.ProtocolPrefix(h.cfg.prefix()),
		dht.BucketSize(h.cfg.BucketSize),
		dht.RoutingTableRefreshPeriod(refreshEvery),
		dht.RoutingTableRefreshQueryTimeout(2*askTimeout),
		dht.Datastore(h.store),
		dht.Validator(record.NamespacedValidator{headSpace: headValidator{h.cfg}}),
		dht.WithCustomMessageSender(func(host host.Host, ids []protocol.ID) pb.MessageSenderWithDisconnect {
			dial := func(ctx context.Context, p peer.ID) error { return host.Connect(ctx, peer.AddrInfo{ID: p}) }
			h.asks = newExchanger(host, dial)
			return &sender{
				exchange: h.asks, live: h.live, metrics: host.Peerstore(),
				protocol: ids[0], longest: h.cfg.maxDHTMessage(),
			}
		}),
	)
}

// headValidator judges the DHT's value records by the rules that Config gives.
type headValidator struct{ cfg Config }

// Validate implements record.Validator.
func (v headValidator) Validate(key string, value []byte) error {
	space, name, err := record.SplitKey(key)
	if err != nil || space != headSpace {
		return record.ErrInvalidRecordType
	}
	job, err := jobs.ParseJobID(name)
	if err != nil {
		return err
	}
	switch {
	case len(value) > v.cfg.MaxHead:
		return fmt.Errorf("head of %d bytes: at most %d", len(value), v.cfg.MaxHead)
	case v.cfg.ValidateHead == nil:
		return errors.New("this node takes no heads")
	}
	return v.cfg.ValidateHead(job, value)
}

// Select implements record.Validator. The first of equal records wins, so that putting the
// same bytes again renews them.
func (v headValidator) Select(_ string, values [][]byte) (int, error) {
	best := 0
	for i := 1; i < len(values) && v.cfg.PreferHead != nil; i++ {
		if v.cfg.PreferHead(values[i], values[best]) > 0 {
			best = i
		}
	}
	return best, nil
}

func headKey(job [32]byte) string { return "/" + headSpace + "/" + jobs.JobID(job).String() }

// PutHead stores a job's head in the DHT, at the nodes nearest to the job. Nobody renews it:
// it is to be put again about hourly. The DHT does not tell how many nodes have taken it.
func (h *Host) PutHead(ctx context.Context, job [32]byte, head []byte) error {
	err := h.dht.PutValue(ctx, headKey(job), head)
	if errors.Is(err, kbucket.ErrLookupFailure) {
		return nil // alone: this node's own store is the whole DHT
	}
	if err != nil {
		return fmt.Errorf("put head of %s: %w", jobs.JobID(job).Short(), err)
	}
	return nil
}

// GetHead finds a job's head in the DHT: the preferred one of those found. ErrNoHead means
// that there is none.
func (h *Host) GetHead(ctx context.Context, job [32]byte) ([]byte, error) {
	head, err := h.dht.GetValue(ctx, headKey(job))
	if errors.Is(err, routing.ErrNotFound) || errors.Is(err, kbucket.ErrLookupFailure) {
		return nil, ErrNoHead
	}
	if err != nil {
		return nil, fmt.Errorf("get head of %s: %w", jobs.JobID(job).Short(), err)
	}
	return head, nil
}

// boardKey is the key under which the nodes of a network say that they carry the board.
func boardKey(network string) cid.Cid {
	return blockCID(jobs.Sum([]byte("shoal/board/1"), []byte(network)))
}

// blockCID is the name that bitswap and the DHT have for bytes with a digest.
func blockCID(d jobs.Digest) cid.Cid {
	hash := append([]byte{multihash.SHA2_256, sha256.Size}, d[:]...)
	return cid.NewCidV1(cid.Raw, hash)
}

// ProvideBoard tells the DHT that this node carries the board. The DHT forgets it after two days.
func (h *Host) ProvideBoard(ctx context.Context) error {
	err := h.dht.Provide(ctx, boardKey(h.cfg.Network), true)
	if err != nil && !errors.Is(err, kbucket.ErrLookupFailure) {
		return fmt.Errorf("provide the board: %w", err)
	}
	return nil
}

// FindBoard asks the DHT for up to limit other nodes that carry the board. It is the way in when
// gossip fails.
func (h *Host) FindBoard(ctx context.Context, limit int) ([]jobs.NodeID, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var found []jobs.NodeID
	for p := range h.dht.FindProvidersAsync(ctx, boardKey(h.cfg.Network), limit+1) {
		n, err := nodeOf(p.ID)
		if err != nil || n == h.self {
			continue
		}
		if found = append(found, n); len(found) == limit {
			break
		}
	}
	return found, ctx.Err()
}
