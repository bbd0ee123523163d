// Package store is what survives a restart: small keyed values in tables, and blobs in
// files named by their digest, with an account of who holds which and until when.
//
// A store owns its home directory while it is open:
//
//	lock        the pid of the process that has the home open; "closed" after a clean end
//	state.db    tables, and the index of the blobs (bbolt)
//	blobs/ab/…  whole blobs, read-only; *.part are blobs still arriving
//
// Whatever Put, Hold or Finish acknowledged is on disk, also after SIGKILL at any point.
// A file is visible under a blob's name only when it is whole.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// DefaultQuota is the bytes of blobs that a store takes where Options name none.
const DefaultQuota = 10 << 30

// Options say how to open a store. The zero value is right for a person's machine.
type Options struct {
	// Quota bounds what Reserve gives out, together with all blobs on disk, in bytes.
	// Zero means DefaultQuota.
	Quota uint64
	// MinFree is the free bytes that blobs leave on the disk. Zero means that only the
	// end of the disk is the end.
	MinFree uint64
	// NoSync leaves out every fsync: for simulations, never for data anyone wants back.
	NoSync bool
	// Logger is told of recoveries. Nil is silence.
	Logger *slog.Logger
	// Now is the clock that stamps blobs. Nil means time.Now.
	Now func() time.Time
}

// ErrFull means that the quota or the disk has no room; nothing was written.
var ErrFull error = full{}

type full struct{}

func (full) Error() string { return "no room" }

// Hint is what a person can try.
func (full) Hint() string {
	return "make room on the disk, or let shoal use more of it: shoal config set disk 20GiB; then the same command goes on"
}

// ErrClosed is returned by a store after Close.
var ErrClosed = errors.New("store is closed")

// InUse means that another process has the home open.
type InUse struct {
	Home string
	PID  int // 0 if it has not said
}

// Error says whose home it is.
func (e *InUse) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is in use by another process", e.Home)
	}
	return fmt.Sprintf("%s is in use by process %d", e.Home, e.PID)
}

// Hint says what to do about it.
func (e *InUse) Hint() string { return "stop that process, or use another home with --home DIR" }

// NewerError means that the database was written by a newer release. Nothing was changed.
type NewerError struct {
	File           string
	Version, Known uint32
}

// Error names the file and both versions.
func (e *NewerError) Error() string {
	return fmt.Sprintf("%s has version %d, this program knows up to %d", e.File, e.Version, e.Known)
}

// Hint says what to do about it.
func (e *NewerError) Hint() string {
	return "use the newer shoal that wrote it, or another home with --home DIR"
}

// Store is an open home directory. It is safe for concurrent use.
type Store struct {
	home  string
	o     Options
	lock  *homeLock
	db    *bolt.DB
	queue *commitQueue
	blobs *Blobs

	closing sync.Once
	closed  error
}

// Open makes the home if it is missing, locks it, and opens what it holds. A damaged
// database is moved aside and said in the log; the blobs stay.
func Open(home string, o Options) (*Store, error) {
	if o.Quota == 0 {
		o.Quota = DefaultQuota
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, fmt.Errorf("open home: %w", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make home: %w", err)
	}
	lock, clean, err := lockHome(home)
	if err != nil {
		return nil, err
	}
	s := &Store{home: home, o: o, lock: lock}
	if err := s.open(clean); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, errors.Join(err, lock.unlock(clean))
	}
	return s, nil
}

func (s *Store) open(clean bool) error {
	db, fresh, err := openDatabase(filepath.Join(s.home, "state.db"), clean, s.o)
	if err != nil {
		return err
	}
	s.db = db
	s.queue = newCommitQueue(db)
	s.blobs, err = openBlobs(s, clean && !fresh)
	return err
}

// Blobs is the store's blobs.
func (s *Store) Blobs() *Blobs { return s.blobs }

// Home is the absolute path of the home directory.
func (s *Store) Home() string { return s.home }

// Close waits for writes under way and gives the home free. Everything else fails with
// ErrClosed from then on. Closing again returns what the first Close did.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.queue.close()
		s.blobs.close()
		err := s.db.Close()
		s.closed = errors.Join(err, s.lock.unlock(err == nil))
	})
	return s.closed
}

// write makes the changes durable, all or none.
func (s *Store) write(ctx context.Context, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	return asFull(s.queue.write(ctx, changes))
}

// asFull turns the system's word for a full disk into ours.
func asFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w on the disk: %w", ErrFull, err)
	}
	return err
}
