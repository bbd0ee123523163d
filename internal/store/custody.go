package store

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Cap bounds the bytes that all owners with a prefix hold and reserve together: strangers,
// for instance, get at most half of the quota.
type Cap struct {
	Prefix string
	Bytes  uint64
}

// Usage is how many bytes of the quota are taken.
type Usage struct {
	Blobs    uint64 // on disk, whole or arriving
	Reserved uint64 // promised by Reserve, not yet released
	Quota    uint64
}

// account adds up bytes. It is what is on disk, held in memory.
type account struct {
	mu       sync.Mutex
	quota    uint64
	blobs    uint64
	reserved uint64
	owners   map[string]uint64 // held and reserved; no zero entries
}

func newAccount(quota uint64) *account {
	return &account{quota: quota, owners: map[string]uint64{}}
}

// replace counts a blob of size is where there was one of size was.
func (a *account) replace(was, is uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blobs += is - was
}

func (a *account) charge(owner string, bytes uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if bytes > 0 {
		a.owners[owner] += bytes
	}
}

func (a *account) credit(owner string, bytes uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.creditLocked(owner, bytes)
}

func (a *account) creditLocked(owner string, bytes uint64) {
	if left := a.owners[owner]; left > bytes {
		a.owners[owner] = left - bytes
	} else {
		delete(a.owners, owner)
	}
}

// under is the bytes of all owners with the prefix. a.mu is held.
func (a *account) under(prefix string) (bytes uint64) {
	for owner, n := range a.owners {
		if strings.HasPrefix(owner, prefix) {
			bytes += n
		}
	}
	return bytes
}

// SetQuota changes the quota, in bytes. Where more is taken already nothing is dropped for it,
// and nothing is added.
func (b *Blobs) SetQuota(bytes uint64) {
	b.acc.mu.Lock()
	defer b.acc.mu.Unlock()
	b.acc.quota = bytes
}

// Usage is what the quota is used for now.
func (b *Blobs) Usage() Usage {
	b.acc.mu.Lock()
	defer b.acc.mu.Unlock()
	return Usage{Blobs: b.acc.blobs, Reserved: b.acc.reserved, Quota: b.acc.quota}
}

// Held is the bytes that owners with the prefix hold or have reserved. A blob counts once
// for each owner.
func (b *Blobs) Held(prefix string) uint64 {
	b.acc.mu.Lock()
	defer b.acc.mu.Unlock()
	return b.acc.under(prefix)
}

// Reserve sets bytes of the quota and of the disk aside for blobs that the owner will hold,
// until release is called (again is nothing) or the process ends. It fails with ErrFull
// where the quota, a cap on the owner's prefix or the disk's reserve does not allow it.
func (b *Blobs) Reserve(owner string, bytes uint64, caps ...Cap) (release func(), err error) {
	a := b.acc
	a.mu.Lock()
	defer a.mu.Unlock()
	if taken := a.blobs + a.reserved; taken > a.quota || bytes > a.quota-taken {
		return nil, fmt.Errorf("%w: %d of %d bytes are taken, %d wanted", ErrFull, taken, a.quota, bytes)
	}
	for _, c := range caps {
		if !strings.HasPrefix(owner, c.Prefix) {
			continue
		}
		if taken := a.under(c.Prefix); taken > c.Bytes || bytes > c.Bytes-taken {
			return nil, fmt.Errorf("%w for %s: %d of %d bytes are taken, %d wanted", ErrFull, c.Prefix, taken, c.Bytes, bytes)
		}
	}
	if err := b.room(a.reserved + bytes); err != nil {
		return nil, err
	}
	a.reserved += bytes
	if bytes > 0 {
		a.owners[owner] += bytes
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.reserved -= bytes
			a.creditLocked(owner, bytes)
		})
	}, nil
}

// MaxOwner is the length of the longest name of an owner: any bytes, in a hierarchy that
// Cap and Held see as prefixes.
const MaxOwner = 1024

// Hold keeps a whole blob for the owner until then, durably. Holding again only ever
// lengthens. fs.ErrNotExist if the blob is not here.
func (b *Blobs) Hold(ctx context.Context, owner string, d jobs.Digest, until time.Time) error {
	if owner == "" || len(owner) > MaxOwner {
		return fmt.Errorf("hold blob: owner's name of %d bytes, must be 1 to %d", len(owner), MaxOwner)
	}
	b.holding.RLock()
	defer b.holding.RUnlock()
	lock := &b.folder[d[0]]
	lock.Lock()
	defer lock.Unlock()
	e, found, err := b.entry(d)
	if err != nil {
		return fmt.Errorf("hold blob: %w", err)
	}
	if !found || e.state != whole {
		return fmt.Errorf("hold blob %s: %w", d, fs.ErrNotExist)
	}
	was, held, err := b.hold(owner, d)
	if err != nil {
		return fmt.Errorf("hold blob: %w", err)
	}
	if held && !until.After(was.until) {
		return nil
	}
	h := hold{until: until, size: e.size}.encode()
	changes := []change{{bucketHolds, holdKey(owner, d), h}, {bucketHeldBy, heldByKey(d, owner), h}}
	if err := b.s.write(ctx, changes); err != nil {
		return fmt.Errorf("hold blob: %w", err)
	}
	if !held {
		b.acc.charge(owner, e.size)
	}
	return nil
}

func (b *Blobs) hold(owner string, d jobs.Digest) (hold, bool, error) {
	v, found, err := b.s.get(bucketHolds, holdKey(owner, d))
	if err != nil || !found {
		return hold{}, false, err
	}
	h, err := decodeHold(v)
	return h, err == nil, err
}

// Release ends all holds of the owner.
func (b *Blobs) Release(ctx context.Context, owner string) error {
	b.holding.Lock()
	defer b.holding.Unlock()
	for {
		kvs, _, err := b.s.page(bucketHolds, ownerPrefix(owner), nil)
		if err != nil {
			return fmt.Errorf("release blobs of %s: %w", owner, err)
		}
		if len(kvs) == 0 {
			return nil
		}
		var changes []change
		var bytes uint64
		for _, kv := range kvs {
			_, d, err := splitHoldKey(kv.Key)
			if err != nil {
				return err
			}
			h, err := decodeHold(kv.Value)
			if err != nil {
				return err
			}
			changes = append(changes, unhold(owner, d)...)
			bytes += h.size
		}
		if err := b.s.write(ctx, changes); err != nil {
			return fmt.Errorf("release blobs of %s: %w", owner, err)
		}
		b.acc.credit(owner, bytes)
	}
}

// unhold is the changes that end one hold.
func unhold(owner string, d jobs.Digest) []change {
	return []change{{bucket: bucketHolds, key: holdKey(owner, d)}, {bucket: bucketHeldBy, key: heldByKey(d, owner)}}
}
