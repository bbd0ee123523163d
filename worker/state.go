package worker

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
)

// State keeps what a guest leaves in /state while it works on one input.
type State interface {
	// Load is what was kept last; nil is nothing.
	Load() []byte
	// Save keeps a state in place of the last.
	Save(state []byte)
}

// How guests' states are kept.
const (
	statePrefix    = 'k' // by input
	maxInlineState = 64 << 10
	maxState       = 17 << 20
	stateEvery     = 900 * time.Millisecond // a child that sends more is not listened to
	stateLife      = 7 * 24 * time.Hour     // of a unit that never came back
)

// storedState is a guest's state on disk.
type storedState struct {
	_    struct{}  `cbor:",toarray"`
	Data []byte    // where it is small
	Blob jobs.Blob // else
	Turn uint8     // which of two owners holds the blob: the new is there before the old goes
}

// guestState is the state of one input's guest. It is used by one strand at a time.
type guestState struct {
	w     *Worker
	t     *task
	input int
	turn  uint8
	last  time.Time
}

func stateKey(k taskKey, i int) []byte {
	return binary.BigEndian.AppendUint16(unitKey(statePrefix, k), uint16(i))
}

func (s *guestState) key() []byte { return stateKey(s.t.key(), s.input) }

func (s *guestState) owner(turn uint8) string {
	return fmt.Sprintf("state/%s/%d/%d/%d/%d", s.t.ref.Job, s.t.ref.Shard, s.t.hold.Unit, s.input, turn)
}

// Load implements State. A state that cannot be read is none: the guest begins anew.
func (s *guestState) Load() []byte {
	value, ok, err := s.w.cfg.Disk.Get(s.key())
	var kept storedState
	if err != nil || !ok || jobs.Decode(value, maxInlineState+256, &kept) != nil {
		return nil
	}
	s.turn = kept.Turn
	if kept.Blob.Digest.IsZero() {
		return kept.Data
	}
	r, err := s.w.cfg.Blobs.Open(kept.Blob.Digest)
	if err != nil {
		return nil
	}
	defer r.Close()
	state, err := io.ReadAll(io.LimitReader(r, maxState+1))
	if err != nil || jobs.BlobOf(state) != kept.Blob {
		return nil
	}
	return state
}

// Save implements State. What cannot be kept is only lost with the guest.
func (s *guestState) Save(state []byte) {
	now := s.w.rt.Now()
	if len(state) > maxState || now.Sub(s.last) < stateEvery {
		return
	}
	s.last = now
	if err := s.save(s.t.ctx, state); err != nil && s.t.ctx.Err() == nil {
		s.w.cfg.Logger.Info("a guest's state could not be kept", s.t.key().ids(), "error", err)
	}
}

func (s *guestState) save(ctx context.Context, state []byte) error {
	kept := storedState{Data: state, Turn: s.turn}
	if len(state) > maxInlineState {
		b, err := s.w.cfg.Blobs.Put(bytes.NewReader(state), maxState)
		if err != nil {
			return err
		}
		kept = storedState{Blob: b, Turn: 1 - s.turn&1}
		until := time.Unix(s.w.rt.Date(), 0).Add(stateLife)
		if err := s.w.cfg.Blobs.Hold(ctx, s.owner(kept.Turn), b, until); err != nil {
			return err
		}
	}
	if err := s.w.cfg.Disk.Put(ctx, disk.Pair{Key: s.key(), Value: jobs.Encode(kept)}); err != nil {
		return err
	}
	if old := s.turn; kept.Turn != old {
		s.turn = kept.Turn
		return s.w.cfg.Blobs.Release(ctx, s.owner(old))
	}
	return nil
}

// forget drops the state of an input that has an answer.
func (s *guestState) forget(ctx context.Context) error {
	if s.last.IsZero() && s.turn == 0 {
		if _, ok, err := s.w.cfg.Disk.Get(s.key()); !ok {
			return err
		}
	}
	if err := s.w.cfg.Disk.Delete(ctx, s.key()); err != nil {
		return err
	}
	for turn := range uint8(2) {
		if err := s.w.cfg.Blobs.Release(ctx, s.owner(turn)); err != nil {
			return err
		}
	}
	return nil
}
