// Package submit makes jobs and publishes them: it splits the inputs into units and shards,
// signs the head, places every shard on its keepers, and gives the head to the board last. What
// it is doing is on disk: a submit that is killed goes on from its home.
package submit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Keepers is what a submitter asks of the keepers of a shard.
type Keepers interface {
	Keepers(ctx context.Context, ref protocol.ShardRef) ([]jobs.NodeID, error)
	Publish(ctx context.Context, at jobs.NodeID, ref protocol.ShardRef, q *protocol.PublishRequest) (*jobs.Record, error)
	Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error)
	Forget(ref protocol.ShardRef)
}

// Home is the keeper in this process.
type Home interface {
	Adopt(ctx context.Context, head []byte, shard uint32, manifest []byte, proof []jobs.Digest, local bool) error
	Share(ctx context.Context, ref protocol.ShardRef) error
	Local(ref protocol.ShardRef) bool
}

// Blobs holds programs, packs and large inputs.
type Blobs interface {
	Put(r io.Reader, max uint64) (jobs.Blob, error)
	Hold(ctx context.Context, owner string, b jobs.Blob, until time.Time) error
	Release(ctx context.Context, owner string) error
}

// Config says what a submitter is made of.
type Config struct {
	Network string
	Signer  jobs.Signer
	Keepers Keepers
	Home    Home
	Disk    disk.Disk
	Blobs   Blobs
	Logger  *slog.Logger
	Runtime strand.Runtime // nil: goroutines
}

// Submitter makes and publishes this node's jobs.
type Submitter struct {
	cfg    Config
	rt     strand.Runtime
	update *strand.Gate // one Update at a time
}

// New makes a submitter.
func New(cfg Config) *Submitter {
	return &Submitter{cfg: cfg, rt: strand.Or(cfg.Runtime), update: strand.NewGate(1)}
}

// Spec is a job as a person asks for it. The head's Network, Submitter, Nonce, Inputs, Units
// and Root are filled in.
type Spec struct {
	Head    jobs.Head
	PerUnit int
	Ramp    bool // smaller units first, as jobs.Splitter says
	// Inputs calls add for every input, or addRange; it can be called only once.
	Inputs func(add func(jobs.Input) error, addRange func(first, last int64) error) error
	// Content tells jobs of equal content by: program, arguments, inputs, data, limits, policy
	// and seed. Zero: not looked up.
	Content jobs.Digest
	Local   bool // never leaves this machine
	Alone   bool // begins here; Share offers it to the grid later
}

// On disk.
const (
	ownPrefix      = 'o' // an own job
	manifestPrefix = 'm' // a shard's manifest
	leavesPrefix   = 'l' // leaves of the tree over the manifests
	contentPrefix  = 'c' // job by content
)

// Own is what the home knows of one of its jobs.
type Own struct {
	_       struct{} `cbor:",toarray"`
	Head    []byte
	Content jobs.Digest
	Local   bool // not to be offered to the grid, for now or ever
	Never   bool // not ever
	Posted  bool // its shards were placed and its head given to the board
	Closed  jobs.Act
	Held    uint8 // keepers that held it when it was last placed, and how many should
	Wanted  uint8
	Told    bool  // a majority of every shard's keepers has heard that it is closed, or the board that it has ended
	Ended   int64 // Unix seconds when it was seen final; 0 while it is open
}

// Open reports whether answers are still to come at a time, in Unix seconds: the job was not
// cancelled, not seen final, and has not expired.
func (o *Own) Open(j *jobs.Job, now int64) bool {
	return o.Closed == 0 && o.Ended == 0 && now < j.Head.Expires
}

func key(prefix byte, id []byte) []byte { return append([]byte{prefix}, id...) }

func shardKey(prefix byte, id jobs.JobID, shard uint32) []byte {
	return binary.BigEndian.AppendUint32(key(prefix, id[:]), shard)
}

// holdFor is how long a submitter keeps the inputs of its jobs after they expire.
const holdFor = 3 * 24 * time.Hour

// makingFor is how long what a submit has put is held if it is killed before it has made the job.
const makingFor = 24 * time.Hour

// Owner is the name under which the blobs of a job are held.
func Owner(id jobs.JobID) string { return OwnerPrefix + id.String() }

// OwnerPrefix begins the owners of what this node has submitted.
const OwnerPrefix = "own/"

// Find gives the open or finished job of the same content, if there is one.
func (s *Submitter) Find(content jobs.Digest) (jobs.JobID, bool, error) {
	raw, ok, err := s.cfg.Disk.Get(key(contentPrefix, content[:]))
	if err != nil || !ok || len(raw) != len(jobs.JobID{}) {
		return jobs.JobID{}, false, err
	}
	return jobs.JobID(raw), true, nil
}

// Create splits, signs and stores a job. Nobody else hears of it yet.
func (s *Submitter) Create(ctx context.Context, spec Spec) (*jobs.Job, error) {
	h := spec.Head
	h.Version, h.Network, h.Submitter = jobs.HeadVersion, s.cfg.Network, s.cfg.Signer.ID()
	nonce := s.rt.Secret()
	copy(h.Nonce[:], nonce[:])
	until := time.Unix(h.Expires, 0).Add(holdFor)
	making := fmt.Sprintf("making/%x", h.Nonce) // holds what is put before the job has an id
	defer func() {
		if err := s.cfg.Blobs.Release(context.WithoutCancel(ctx), making); err != nil {
			s.cfg.Logger.Debug("blobs of a job that was made are held twice", "error", err)
		}
	}()
	var manifests [][]byte
	var blobs []jobs.Blob
	split := jobs.Splitter{
		PerUnit: spec.PerUnit, Ramp: spec.Ramp,
		PutPack: func(pack []byte) (jobs.Blob, error) {
			b, err := s.cfg.Blobs.Put(bytes.NewReader(pack), jobs.MaxPack)
			if err != nil {
				return b, err
			}
			blobs = append(blobs, b)
			return b, s.cfg.Blobs.Hold(ctx, making, b, time.Unix(s.rt.Date(), 0).Add(makingFor))
		},
		PutManifest: func(_ uint32, m []byte) error { manifests = append(manifests, m); return nil },
	}
	add := func(in jobs.Input) error {
		if in.IsBlob() {
			blobs = append(blobs, in.Blob)
		}
		return split.Add(in)
	}
	if err := spec.Inputs(add, split.AddRange); err != nil {
		return nil, err
	}
	leaves, err := split.Finish(&h)
	if err != nil {
		return nil, err
	}
	job, err := jobs.SignHead(h, s.cfg.Signer)
	if err != nil {
		return nil, err
	}
	blobs = append(blobs, h.Program)
	for _, d := range h.Data {
		blobs = append(blobs, d.Blob)
	}
	for _, b := range blobs {
		if err := s.cfg.Blobs.Hold(ctx, Owner(job.ID), b, until); err != nil {
			return nil, fmt.Errorf("keep the job's inputs: %w", err)
		}
	}
	return job, s.store(ctx, job, spec, manifests, leaves)
}

// store writes all of a job at once, the entry that makes it exist last.
func (s *Submitter) store(ctx context.Context, job *jobs.Job, spec Spec, manifests [][]byte, leaves []jobs.Digest) error {
	var pairs []disk.Pair
	for i, m := range manifests {
		pairs = append(pairs, disk.Pair{Key: shardKey(manifestPrefix, job.ID, uint32(i)), Value: m})
	}
	var flat []byte
	for _, l := range leaves {
		flat = append(flat, l[:]...)
	}
	pairs = append(pairs, disk.Pair{Key: key(leavesPrefix, job.ID[:]), Value: flat})
	if err := s.cfg.Disk.Put(ctx, pairs...); err != nil {
		return err
	}
	o := Own{Head: job.Bytes(), Content: spec.Content, Local: spec.Local || spec.Alone, Never: spec.Local}
	pairs = []disk.Pair{{Key: key(ownPrefix, job.ID[:]), Value: jobs.Encode(o)}}
	if !spec.Content.IsZero() {
		pairs = append(pairs, disk.Pair{Key: key(contentPrefix, spec.Content[:]), Value: job.ID[:]})
	}
	return s.cfg.Disk.Put(ctx, pairs...)
}

// ErrNotOwn means that a job is not one of this home's.
var ErrNotOwn = errors.New("not a job of this home")

// Own gives what the home knows of one of its jobs.
func (s *Submitter) Own(id jobs.JobID) (*Own, *jobs.Job, error) {
	raw, ok, err := s.cfg.Disk.Get(key(ownPrefix, id[:]))
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, ErrNotOwn
	}
	return s.decodeOwn(raw)
}

func (s *Submitter) decodeOwn(raw []byte) (*Own, *jobs.Job, error) {
	var o Own
	if err := jobs.Decode(raw, 2*jobs.MaxHead, &o); err != nil {
		return nil, nil, err
	}
	job, err := jobs.OpenHead(o.Head, s.cfg.Network)
	return &o, job, err
}

// All calls f with every job of this home.
func (s *Submitter) All(f func(*Own, *jobs.Job) error) error {
	return s.cfg.Disk.Scan([]byte{ownPrefix}, func(_, value []byte) error {
		o, job, err := s.decodeOwn(value)
		if err != nil {
			s.cfg.Logger.Debug("a job of this home belongs elsewhere or is not readable", "error", err)
			return nil
		}
		return f(o, job)
	})
}

// Elsewhere is the network of a job of this home that this network knows nothing of, by the
// beginning of its id; "" where there is none.
func (s *Submitter) Elsewhere(ref string) (network string, err error) {
	err = s.cfg.Disk.Scan([]byte{ownPrefix}, func(key, value []byte) error {
		var id jobs.JobID
		if copy(id[:], key[1:]); !strings.HasPrefix(id.String(), ref) {
			return nil
		}
		var o Own
		var signed jobs.SignedHead
		var head jobs.Head
		err := errors.Join(jobs.Decode(value, 2*jobs.MaxHead, &o), jobs.Decode(o.Head, jobs.MaxHead, &signed), jobs.Decode(signed.Body, jobs.MaxHead, &head))
		if err == nil && head.Network != s.cfg.Network {
			network = head.Network
		}
		return nil
	})
	return network, err
}

// Update changes what the home knows of one of its jobs.
func (s *Submitter) Update(ctx context.Context, id jobs.JobID, change func(*Own)) error {
	if err := s.update.Enter(ctx, s.rt); err != nil {
		return err
	}
	defer s.update.Leave()
	o, _, err := s.Own(id)
	if err != nil {
		return err
	}
	change(o)
	return s.cfg.Disk.Put(ctx, disk.Pair{Key: key(ownPrefix, id[:]), Value: jobs.Encode(o)})
}

// Manifest gives a shard's manifest of an own job, with its path to the head's root.
func (s *Submitter) Manifest(job *jobs.Job, shard uint32) (*jobs.Manifest, []jobs.Digest, error) {
	raw, proof, err := s.shard(job, shard)
	if err != nil {
		return nil, nil, err
	}
	m, err := jobs.OpenManifest(&job.Head, shard, raw, proof)
	return m, proof, err
}

func (s *Submitter) shard(job *jobs.Job, shard uint32) (manifest []byte, proof []jobs.Digest, err error) {
	manifest, ok, err := s.cfg.Disk.Get(shardKey(manifestPrefix, job.ID, shard))
	if err == nil && !ok {
		err = ErrNotOwn
	}
	if err != nil {
		return nil, nil, err
	}
	flat, _, err := s.cfg.Disk.Get(key(leavesPrefix, job.ID[:]))
	if err != nil {
		return nil, nil, err
	}
	leaves := make([]jobs.Digest, len(flat)/len(jobs.Digest{}))
	for i := range leaves {
		copy(leaves[i][:], flat[i*len(jobs.Digest{}):])
	}
	if int(shard) >= len(leaves) {
		return nil, nil, errors.New("job's manifests are incomplete")
	}
	return manifest, jobs.Path(leaves, int(shard)), nil
}
