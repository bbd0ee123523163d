package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// youth is how long a blob is kept that nobody holds (yet).
const youth = time.Hour

// located is a blob's entry with its name.
type located struct {
	d jobs.Digest
	entry
}

// holder is one hold seen from its blob.
type holder struct {
	owner string
	hold
}

// Collected is what a GC removed.
type Collected struct {
	Blobs int
	Bytes uint64
}

// GC removes the blobs, whole or partial, that at now nobody holds or is receiving, and
// that were not added in the last hour. It touches only files that this store wrote.
func (b *Blobs) GC(ctx context.Context, now time.Time) (Collected, error) {
	var sum Collected
	for i := range b.folder {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		if err := b.collect(ctx, byte(i), now, &sum); err != nil {
			return sum, fmt.Errorf("collect unused blobs: %w", err)
		}
	}
	return sum, nil
}

// collect is GC for one folder.
func (b *Blobs) collect(ctx context.Context, folder byte, now time.Time, sum *Collected) error {
	b.holding.Lock()
	defer b.holding.Unlock()
	b.folder[folder].Lock()
	defer b.folder[folder].Unlock()
	var unused []located
	err := b.each([]byte{folder}, func(e located) error {
		keep, err := b.wanted(e, now)
		if err == nil && !keep {
			unused = append(unused, e)
		}
		return err
	})
	if err != nil || len(unused) == 0 {
		return err
	}
	if err := b.drop(ctx, unused); err != nil {
		return err
	}
	for _, e := range unused {
		sum.Blobs++
		sum.Bytes += e.size
	}
	return nil
}

func (b *Blobs) wanted(e located, now time.Time) (bool, error) {
	if e.used.Add(youth).After(now) || b.receiving(e.d) {
		return true, nil
	}
	holders, err := b.holders(e.d)
	for _, h := range holders {
		if h.until.After(now) {
			return true, nil
		}
	}
	return false, err
}

func (b *Blobs) receiving(d jobs.Digest) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.partials[d] != nil
}

// each calls f with every entry whose digest begins with prefix.
func (b *Blobs) each(prefix []byte, f func(located) error) error {
	return b.s.scan(bucketBlobs, prefix, func(k, v []byte) error {
		e, err := decodeEntry(v)
		if err != nil {
			return err
		}
		if len(k) != digestLen {
			return fmt.Errorf("%w: name of a blob: %x", errIndex, k)
		}
		return f(located{jobs.Digest(k), e})
	})
}

func (b *Blobs) holders(d jobs.Digest) (holders []holder, err error) {
	err = b.s.scan(bucketHeldBy, d[:], func(k, v []byte) error {
		_, owner, err := splitHeldByKey(k)
		if err != nil {
			return err
		}
		h, err := decodeHold(v)
		holders = append(holders, holder{owner, h})
		return err
	})
	return holders, err
}

// drop removes blobs: first what is known of them, then their files, so that a kill in
// between leaves a file that the next survey takes up, never a name without a file. The
// locks of holding and of the folders are held.
func (b *Blobs) drop(ctx context.Context, es []located) error {
	var changes []change
	var ended []holder
	for _, e := range es {
		d := e.d
		changes = append(changes, change{bucket: bucketBlobs, key: d[:]}, change{bucket: bucketLists, key: d[:]})
		list, _, err := b.s.get(bucketLists, d[:])
		if err != nil {
			return err
		}
		for _, block := range blockDigests(list) {
			changes = append(changes, change{bucket: bucketBlocks, key: blockKey(block, d)})
		}
		holders, err := b.holders(d)
		if err != nil {
			return err
		}
		for _, h := range holders {
			changes = append(changes, unhold(h.owner, d)...)
		}
		ended = append(ended, holders...)
	}
	if err := b.s.write(ctx, changes); err != nil {
		return err
	}
	for _, h := range ended {
		b.acc.credit(h.owner, h.size)
	}
	var errs []error
	for _, e := range es {
		b.acc.replace(e.size, 0)
		errs = append(errs, b.unlink(e))
	}
	return errors.Join(errs...)
}

func (b *Blobs) unlink(e located) error {
	name := b.path(e.d)
	if e.state == partial {
		name += partialSuffix
	}
	return remove(name)
}
