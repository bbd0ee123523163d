package wasm

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
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/prepare"
)

// cache keeps compiled programs in a folder: an entry is a folder with what the compile
// child wrote, and a manifest that this process wrote. An entry appears whole, by a rename.
type cache struct {
	dir string

	mu    sync.Mutex
	locks map[string]*keyLock
}

// cacheBytes is how much compiled code is kept; beyond it the longest unused goes.
const cacheBytes = 2 << 30

// staleAfter is the age at which an unfinished entry must be a crash's.
const staleAfter = time.Hour

const manifestName = "entry.json"

// entry is the manifest of a cache entry.
type entry struct {
	Refused string                 `json:"refused,omitempty"` // why the program is not taken
	Memory  uint64                 `json:"memory"`            // bytes the program starts with
	Files   map[string]jobs.Digest `json:"files,omitempty"`   // by slashed path in the entry
}

// openCache makes the folder and clears what a crash has left there.
func openCache(dir string) (*cache, error) {
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
	return &cache{dir: dir, locks: make(map[string]*keyLock)}, nil
}

// cacheKey names everything that compiled code depends on.
func cacheKey(program jobs.Digest, profile uint8) string {
	machine := fmt.Sprintf("%d %s %s %s %s %+v %+v", prepare.Version, engineVersion(), Engine(), runtime.GOOS, runtime.GOARCH, cpu.X86, cpu.ARM64)
	return jobs.Sum([]byte("shoal/compiled/1"), program[:], []byte{profile}, []byte(machine)).String()
}

func (c *cache) path(key string) string { return filepath.Join(c.dir, key) }

// keyLock is held by who looks for or builds an entry, so that a program which several
// guests want at once is compiled once.
type keyLock struct {
	held    chan struct{}
	waiting int
}

// lock waits for its turn with a key.
func (c *cache) lock(ctx context.Context, key string) (unlock func(), err error) {
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

// find reads the manifest of an entry; one that cannot be read is as good as none.
func (c *cache) find(key string) (entry, bool) {
	var e entry
	path := filepath.Join(c.path(key), manifestName)
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &e) != nil {
		return entry{}, false
	}
	now := time.Now()
	os.Chtimes(path, now, now) // best effort: only eviction looks at it
	return e, true
}

// scratch makes a folder for the compile child to write into.
func (c *cache) scratch() (string, error) {
	dir, err := os.MkdirTemp(c.dir, "tmp-")
	if err != nil {
		return "", fmt.Errorf("make room for a compiled program: %w", err)
	}
	return dir, nil
}

// add makes an entry of the scratch folder.
func (c *cache) add(key, scratch string, e entry) (entry, error) {
	var err error
	if e.Files, err = digestFiles(scratch); err != nil {
		return entry{}, fmt.Errorf("digest a compiled program: %w", err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return entry{}, fmt.Errorf("encode a cache entry: %w", err)
	}
	if err := os.WriteFile(filepath.Join(scratch, manifestName), text, 0o600); err != nil {
		return entry{}, fmt.Errorf("write a cache entry: %w", err)
	}
	if err := c.drop(key); err != nil {
		return entry{}, err
	}
	if err := os.Rename(scratch, c.path(key)); err != nil {
		// Another process on this home was faster: what it has is as good.
		if theirs, ok := c.find(key); ok {
			return theirs, nil
		}
		return entry{}, fmt.Errorf("place a cache entry: %w", err)
	}
	return e, c.evict(key)
}

// drop deletes an entry that turned out bad.
func (c *cache) drop(key string) error {
	if err := os.RemoveAll(c.path(key)); err != nil {
		return fmt.Errorf("delete a cache entry: %w", err)
	}
	return nil
}

// evict deletes the longest unused entries until the rest fits; keep is spared.
func (c *cache) evict(keep string) error {
	type aged struct {
		path string
		used time.Time
		size int64
	}
	manifests, err := filepath.Glob(filepath.Join(c.dir, "*", manifestName))
	if err != nil {
		return fmt.Errorf("list the cache of compiled programs: %w", err)
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
		if total <= cacheBytes {
			break
		}
		if strings.HasSuffix(a.path, keep) {
			continue
		}
		if err := os.RemoveAll(a.path); err != nil {
			return fmt.Errorf("evict a compiled program: %w", err)
		}
		total -= a.size
	}
	return nil
}

func sizeOf(dir string) (total int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

// digestFiles digests every file below dir but the manifest.
func digestFiles(dir string) (map[string]jobs.Digest, error) {
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
