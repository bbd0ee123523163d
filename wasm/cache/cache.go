// Package cache keeps compiled programs on disk. An entry is a folder with what a compile
// child wrote, and a manifest that the sandbox wrote: the child is trusted with nothing but
// its own program. An entry appears whole, by a rename, and whoever uses it compares digests.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Cache is a folder of entries, for several callers at once.
type Cache struct {
	dir   string
	limit int64 // bytes

	mu    sync.Mutex
	locks map[string]*keyLock
}

// DefaultLimit is how many bytes of compiled code a cache keeps; beyond it the longest unused
// goes.
const DefaultLimit = 2 << 30

// staleAfter is the age at which an unfinished entry must be a crash's.
const staleAfter = time.Hour

const manifestName = "entry.json"

// Entry is the manifest of a cache entry.
type Entry struct {
	Refused string                 `json:"refused,omitempty"` // why the program is not taken
	Memory  uint64                 `json:"memory"`            // bytes the program starts with
	Files   map[string]jobs.Digest `json:"files,omitempty"`   // by slashed path in the entry
}

// Open makes the folder and clears what a crash has left there.
func Open(dir string, limit int64) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache of compiled programs: %w", err)
	}
	stale, err := filepath.Glob(filepath.Join(dir, "tmp-*"))
	if err != nil {
		return nil, fmt.Errorf("look into the cache of compiled programs: %w", err)
	}
	for _, path := range stale {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > staleAfter {
			os.RemoveAll(path) // what stays takes room only, and is tried again
		}
	}
	return &Cache{dir: dir, limit: limit, locks: make(map[string]*keyLock)}, nil
}

// Key names an entry by what it depends on.
func Key(program jobs.Digest, more ...[]byte) string {
	parts := [][]byte{[]byte("shoal/compiled/1"), program[:]}
	for _, m := range more {
		sum := jobs.Sum(m) // so that no two lists run together to the same bytes
		parts = append(parts, sum[:])
	}
	return jobs.Sum(parts...).String()
}

// Path is the folder of an entry.
func (c *Cache) Path(key string) string { return filepath.Join(c.dir, key) }

// keyLock is held by who looks for or builds an entry, so that a program which several
// guests want at once is compiled once.
type keyLock struct {
	held    chan struct{}
	waiting int
}

// Lock waits for its turn with a key.
func (c *Cache) Lock(ctx context.Context, key string) (unlock func(), err error) {
	c.mu.Lock()
	l := c.locks[key]
	if l == nil {
		l = &keyLock{held: make(chan struct{}, 1)}
		c.locks[key] = l
	}
	l.waiting++
	c.mu.Unlock()
	leave := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if l.waiting--; l.waiting == 0 {
			delete(c.locks, key)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// Find reads the manifest of an entry; one that cannot be read is as good as none.
func (c *Cache) Find(key string) (Entry, bool) {
	var e Entry
	path := filepath.Join(c.Path(key), manifestName)
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &e) != nil {
		return Entry{}, false
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // only eviction looks at it
	return e, true
}

// Scratch makes a folder for the compile child to write into.
func (c *Cache) Scratch() (string, error) {
	dir, err := os.MkdirTemp(c.dir, "tmp-")
	if err != nil {
		return "", fmt.Errorf("make room for a compiled program: %w", err)
	}
	return dir, nil
}

// Add makes an entry of the scratch folder.
func (c *Cache) Add(key, scratch string, e Entry) (Entry, error) {
	var err error
	if e.Files, err = Digests(scratch); err != nil {
		return Entry{}, fmt.Errorf("digest a compiled program: %w", err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("encode a cache entry: %w", err)
	}
	if err := os.WriteFile(filepath.Join(scratch, manifestName), text, 0o600); err != nil {
		return Entry{}, fmt.Errorf("write a cache entry: %w", err)
	}
	if err := c.Drop(key); err != nil {
		return Entry{}, err
	}
	if err := os.Rename(scratch, c.Path(key)); err != nil {
		// Another process on this home was faster: what it has is as good.
		if theirs, ok := c.Find(key); ok {
			return theirs, nil
		}
		return Entry{}, fmt.Errorf("place a cache entry: %w", err)
	}
	c.evict(key)
	return e, nil
}

// Drop deletes an entry that turned out bad.
func (c *Cache) Drop(key string) error {
	if err := os.RemoveAll(c.Path(key)); err != nil {
		return fmt.Errorf("delete a cache entry: %w", err)
	}
	return nil
}

// evict deletes the longest unused entries until the rest fits; keep is spared. What cannot
// be deleted now is tried again with the next entry.
func (c *Cache) evict(keep string) {
	type aged struct {
		path string
		used time.Time
		size int64
	}
	manifests, err := filepath.Glob(filepath.Join(c.dir, "*", manifestName))
	if err != nil {
		return // the pattern is not at fault, and files that cannot be seen take no harm
	}
	var all []aged
	var total int64
	for _, path := range manifests {
		info, err := os.Stat(path)
		if err != nil {
			continue // gone meanwhile
		}
		dir := filepath.Dir(path)
		a := aged{dir, info.ModTime(), sizeOf(dir)}
		all, total = append(all, a), total+a.size
	}
	slices.SortFunc(all, func(a, b aged) int { return a.used.Compare(b.used) })
	for _, a := range all {
		if total <= c.limit {
			return
		}
		if filepath.Base(a.path) != keep && os.RemoveAll(a.path) == nil {
			total -= a.size
		}
	}
}

func sizeOf(dir string) (total int64) {
	// What cannot be seen is not counted.
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

// Digests digests every file below dir but the manifest.
func Digests(dir string) (map[string]jobs.Digest, error) {
	files := make(map[string]jobs.Digest)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == manifestName {
			return err
		}
		if !d.Type().IsRegular() {
			return errors.New("not a regular file")
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(name)], err = digestFile(path)
		return err
	})
	return files, err
}

func digestFile(path string) (jobs.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return jobs.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return jobs.Digest{}, err
	}
	return jobs.Digest(h.Sum(nil)), nil
}
