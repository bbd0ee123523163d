package store

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// MaxKey and MaxValue bound what a table takes, in bytes.
const (
	MaxKey   = bolt.MaxKeySize
	MaxValue = 16 << 20
)

// Scan reads this much at a time, so that a slow reader neither pins old pages of the
// database nor stops writers.
const (
	scanKeys  = 256
	scanBytes = 1 << 20
)

// KV is a key and its value.
type KV struct{ Key, Value []byte }

// Table is a named set of small keyed values, in the order of their keys.
type Table struct {
	s      *Store
	bucket string
}

// Table returns the table of that name; it exists from its first Put on.
func (s *Store) Table(name string) *Table { return &Table{s: s, bucket: "table/" + name} }

// Get returns a copy of the value under key, and whether there is one.
func (t *Table) Get(key []byte) (value []byte, found bool, err error) {
	return t.s.get(t.bucket, key)
}

// Put stores all pairs or none. They are durable when it returns nil; an error of ctx
// means that nothing was stored. Concurrent calls share one disk write.
func (t *Table) Put(ctx context.Context, kv ...KV) error {
	changes := make([]change, len(kv))
	for i, p := range kv {
		if len(p.Key) == 0 || len(p.Key) > MaxKey {
			return fmt.Errorf("put: key of %d bytes, must be 1 to %d", len(p.Key), MaxKey)
		}
		if len(p.Value) > MaxValue {
			return fmt.Errorf("put: value of %d bytes, must be at most %d", len(p.Value), MaxValue)
		}
		value := p.Value
		if value == nil {
			value = []byte{}
		}
		changes[i] = change{bucket: t.bucket, key: p.Key, value: value}
	}
	return t.s.write(ctx, changes)
}

// Delete removes the keys, all or none; those that are not there count as removed.
func (t *Table) Delete(ctx context.Context, keys ...[]byte) error {
	changes := make([]change, 0, len(keys))
	for _, key := range keys {
		if len(key) > 0 {
			changes = append(changes, change{bucket: t.bucket, key: key})
		}
	}
	return t.s.write(ctx, changes)
}

// Scan calls f with a copy of every pair whose key begins with prefix, in order of keys,
// until f returns an error, which it returns. f may use the store; a pair that is written
// or deleted meanwhile may be seen or not.
func (t *Table) Scan(prefix []byte, f func(key, value []byte) error) error {
	return t.s.scan(t.bucket, prefix, f)
}

// DeletePrefix removes every key that begins with prefix, in steps: if it fails, some may
// be left, and calling it again goes on.
func (t *Table) DeletePrefix(ctx context.Context, prefix []byte) error {
	for {
		kvs, _, err := t.s.page(t.bucket, prefix, nil)
		if err != nil || len(kvs) == 0 {
			return err
		}
		keys := make([][]byte, len(kvs))
		for i := range kvs {
			keys[i] = kvs[i].Key
		}
		if err := t.Delete(ctx, keys...); err != nil {
			return err
		}
	}
}

func (s *Store) get(bucket string, key []byte) (value []byte, found bool, err error) {
	err = s.view(func(tx *bolt.Tx) {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return
		}
		if v := b.Get(key); v != nil {
			value, found = append([]byte{}, v...), true
		}
	})
	return value, found, err
}

func (s *Store) scan(bucket string, prefix []byte, f func(key, value []byte) error) error {
	var after []byte
	for {
		kvs, more, err := s.page(bucket, prefix, after)
		if err != nil {
			return err
		}
		for _, kv := range kvs {
			if err := f(kv.Key, kv.Value); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = kvs[len(kvs)-1].Key
	}
}

// page reads the next pairs under prefix behind the key after (nil: from the first), and
// whether there may be more.
func (s *Store) page(bucket string, prefix, after []byte) (kvs []KV, more bool, err error) {
	err = s.view(func(tx *bolt.Tx) {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return
		}
		c, size := b.Cursor(), 0
		k, v := c.Seek(prefix)
		if after != nil {
			if k, v = c.Seek(after); bytes.Equal(k, after) {
				k, v = c.Next()
			}
		}
		for ; k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if len(kvs) == scanKeys || size > scanBytes {
				more = true
				return
			}
			kvs = append(kvs, KV{Key: bytes.Clone(k), Value: append([]byte{}, v...)})
			size += len(k) + len(v)
		}
	})
	return kvs, more, err
}

// view reads the database as it is at one moment.
func (s *Store) view(f func(*bolt.Tx)) error {
	err := s.db.View(func(tx *bolt.Tx) error { f(tx); return nil })
	switch {
	case err == nil:
		return nil
	case s.queue.isClosed():
		return ErrClosed
	}
	return fmt.Errorf("read database: %w", err)
}
