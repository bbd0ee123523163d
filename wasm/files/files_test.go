package files_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/wasm/files"
)

// world is a guest's surroundings, with so much memory.
type world struct{ now, memory int64 }

func (w *world) Now() int64 { return w.now }

func (w *world) Take(bytes int64) bool {
	if bytes > w.memory {
		return false
	}
	w.memory -= bytes
	return true
}

const memory = 1 << 30

// Whatever a program does with scratch files, it sees what it would see in a folder of
// Linux, with which wazero's own file system deals.
func TestScratchIsLikeAFolder(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "") //nolint:usetesting // one for each run of the property
		if err != nil {
			t.Fatal(err)
		}
		w := &world{memory: memory}
		p := &pair{tree: files.New(w, nil, nil), folder: sysfs.DirFS(dir)}
		t.Repeat(map[string]func(*rapid.T){
			"open": p.open, "mkdir": p.mkdir, "rmdir": p.rmdir, "unlink": p.unlink, "rename": p.rename, "stat": p.stat,
			"list": p.list, "read": p.read, "pread": p.pread, "write": p.write, "pwrite": p.pwrite, "seek": p.seek,
			"truncate": p.truncate, "close": p.close,
		})
		for len(p.handles) > 0 {
			p.shut(0)
		}
		p.empty(t, ".")
		if w.memory != memory {
			t.Errorf("%d bytes of memory are lost", memory-w.memory)
		}
	})
}

// pair is a tree and a folder that everything is done to.
type pair struct {
	tree, folder sys.FS
	handles      []handles
}

type handles struct{ tree, folder sys.File }

// places are where things happen: few, so that they meet.
func place(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/e", "d/e/a", "a/x", "d/", "a/"}).Draw(t, label)
}

func inTree(path string) string {
	if path == "." {
		return "tmp"
	}
	return "tmp/" + path
}

func (p *pair) handle(t *rapid.T) (handles, bool) {
	if len(p.handles) == 0 {
		return handles{}, false
	}
	return rapid.SampledFrom(p.handles).Draw(t, "handle"), true
}

// same compares what happened.
func same(t *rapid.T, what string, tree, folder sys.Errno) bool {
	t.Helper()
	if tree != folder {
		t.Fatalf("%s: in the tree %v, in a folder %v", what, tree, folder)
	}
	return tree == 0
}

func (p *pair) open(t *rapid.T) {
	flag := rapid.SampledFrom([]sys.Oflag{sys.O_RDONLY, sys.O_RDWR, sys.O_WRONLY}).Draw(t, "mode")
	for _, extra := range []sys.Oflag{sys.O_CREAT, sys.O_EXCL, sys.O_TRUNC} {
		if rapid.Bool().Draw(t, "flag") {
			flag |= extra
		}
	}
	if flag&(sys.O_TRUNC|sys.O_RDWR|sys.O_WRONLY) == sys.O_TRUNC || flag&(sys.O_EXCL|sys.O_CREAT) == sys.O_EXCL {
		return // what these do is not defined
	}
	path := place(t, "path")
	a, aErr := p.tree.OpenFile(inTree(path), flag, 0o600)
	b, bErr := p.folder.OpenFile(path, flag, 0o600)
	if same(t, "open "+path, aErr, bErr) {
		p.handles = append(p.handles, handles{a, b})
	}
}

func (p *pair) mkdir(t *rapid.T) {
	path := place(t, "path")
	errno := p.tree.Mkdir(inTree(path), 0o700)
	if errno == sys.ENOTDIR {
		errno = sys.ENOENT // as wazero has it; POSIX has ours
	}
	same(t, "mkdir "+path, errno, p.folder.Mkdir(path, 0o700))
}

func (p *pair) rmdir(t *rapid.T) {
	path := place(t, "path")
	same(t, "rmdir "+path, p.tree.Rmdir(inTree(path)), p.folder.Rmdir(path))
}

func (p *pair) unlink(t *rapid.T) {
	path := place(t, "path")
	same(t, "unlink "+path, p.tree.Unlink(inTree(path)), p.folder.Unlink(path))
}

func (p *pair) rename(t *rapid.T) {
	from, to := place(t, "from"), place(t, "to")
	if from == to {
		return // wazero does not look whether it is there
	}
	a, b := p.tree.Rename(inTree(from), inTree(to)), p.folder.Rename(from, to)
	if a != 0 && b != 0 {
		return // of two things that are wrong, either may be told
	}
	same(t, "rename "+from+" "+to, a, b)
}

func (p *pair) stat(t *rapid.T) {
	path := place(t, "path")
	a, aErr := p.tree.Stat(inTree(path))
	b, bErr := p.folder.Stat(path)
	if same(t, "stat "+path, aErr, bErr) && (a.Mode.IsDir() != b.Mode.IsDir() || !a.Mode.IsDir() && a.Size != b.Size) {
		t.Fatalf("stat %s: %v of %d bytes, %v of %d bytes", path, a.Mode, a.Size, b.Mode, b.Size)
	}
}

// names lists a folder, sorted.
func names(t *rapid.T, fsys sys.FS, path string) []sys.Dirent {
	f, errno := fsys.OpenFile(path, sys.O_RDONLY, 0)
	if errno != 0 {
		return nil
	}
	defer f.Close()
	entries, errno := f.Readdir(-1)
	if errno != 0 {
		return nil
	}
	slices.SortFunc(entries, func(a, b sys.Dirent) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

func (p *pair) list(t *rapid.T) {
	path := rapid.SampledFrom([]string{".", "d", "d/e", "a"}).Draw(t, "path")
	same := func(a, b sys.Dirent) bool { return a.Name == b.Name && a.Type == b.Type }
	if a, b := names(t, p.tree, inTree(path)), names(t, p.folder, path); !slices.EqualFunc(a, b, same) {
		t.Fatalf("list %s: %v, %v", path, a, b)
	}
}

func (p *pair) read(t *rapid.T) {
	if h, ok := p.handle(t); ok {
		compareRead(t, "read", func(f sys.File, b []byte) (int, sys.Errno) { return f.Read(b) }, h)
	}
}

func (p *pair) pread(t *rapid.T) {
	if h, ok := p.handle(t); ok {
		off := rapid.Int64Range(0, 20_000).Draw(t, "offset")
		compareRead(t, "pread", func(f sys.File, b []byte) (int, sys.Errno) { return f.Pread(b, off) }, h)
	}
}

func compareRead(t *rapid.T, what string, read func(sys.File, []byte) (int, sys.Errno), h handles) {
	a := make([]byte, rapid.IntRange(1, 20_000).Draw(t, "bytes"))
	b := make([]byte, len(a))
	aN, aErr := read(h.tree, a)
	bN, bErr := read(h.folder, b)
	if same(t, what, aErr, bErr) && string(a[:aN]) != string(b[:bN]) {
		t.Fatalf("%s: %d bytes, %d bytes", what, aN, bN)
	}
}

func (p *pair) write(t *rapid.T) {
	if h, ok := p.handle(t); ok {
		b := content(t)
		aN, aErr := h.tree.Write(b)
		bN, bErr := h.folder.Write(b)
		if same(t, "write", aErr, bErr) && aN != bN {
			t.Fatalf("write: %d bytes, %d bytes", aN, bN)
		}
	}
}

func (p *pair) pwrite(t *rapid.T) {
	if h, ok := p.handle(t); ok {
		b, off := content(t), rapid.Int64Range(0, 20_000).Draw(t, "offset")
		aN, aErr := h.tree.Pwrite(b, off)
		bN, bErr := h.folder.Pwrite(b, off)
		if same(t, "pwrite", aErr, bErr) && aN != bN {
			t.Fatalf("pwrite: %d bytes, %d bytes", aN, bN)
		}
	}
}

func content(t *rapid.T) []byte {
	return []byte(strings.Repeat(rapid.StringN(1, 8, 8).Draw(t, "text"), rapid.IntRange(1, 2000).Draw(t, "times")))
}

func (p *pair) seek(t *rapid.T) {
	h, ok := p.handle(t)
	if !ok {
		return
	}
	if isDir, _ := h.tree.IsDir(); isDir {
		return // WASI lets nobody seek there
	}
	off, whence := rapid.Int64Range(-10_000, 20_000).Draw(t, "offset"), rapid.IntRange(0, 2).Draw(t, "whence")
	aTo, aErr := h.tree.Seek(off, whence)
	bTo, bErr := h.folder.Seek(off, whence)
	if same(t, "seek", aErr, bErr) && aTo != bTo {
		t.Fatalf("seek: to %d, to %d", aTo, bTo)
	}
}

func (p *pair) truncate(t *rapid.T) {
	if h, ok := p.handle(t); ok {
		size := rapid.Int64Range(0, 20_000).Draw(t, "size")
		same(t, "truncate", h.tree.Truncate(size), h.folder.Truncate(size))
	}
}

func (p *pair) close(t *rapid.T) {
	if len(p.handles) > 0 {
		p.shut(rapid.IntRange(0, len(p.handles)-1).Draw(t, "handle"))
	}
}

func (p *pair) shut(i int) {
	p.handles[i].tree.Close()
	p.handles[i].folder.Close()
	p.handles = slices.Delete(p.handles, i, i+1)
}

// empty deletes all that is in a folder of the tree.
func (p *pair) empty(t *rapid.T, path string) {
	for _, e := range names(t, p.tree, inTree(path)) {
		child := e.Name
		if path != "." {
			child = path + "/" + e.Name
		}
		errno := sys.Errno(0)
		if e.Type == fs.ModeDir {
			p.empty(t, child)
			errno = p.tree.Rmdir(inTree(child))
		} else {
			errno = p.tree.Unlink(inTree(child))
		}
		if errno != 0 {
			t.Fatalf("delete %s: %v", child, errno)
		}
	}
}
