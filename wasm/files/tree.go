// Package files is the file system that a guest sees: it is in memory, made anew for every
// input, and the same on every machine. No folder of the host is in it.
//
//	/in/NAME     the input, when it is a file (read-only)
//	/data/NAME   what all inputs of the job share (read-only)
//	/out         what the guest leaves here is delivered, see WriteOut
//	/tmp         scratch, gone at the guest's end
//	/state       what a guest that is stopped finds again here when it is begun anew, see State
//
// Nothing of the host shows: file numbers count from one, times are the guest's virtual
// time, folders list in the order of their names.
package files

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasisys "github.com/tetratelabs/wazero/sys"
)

// Bounds of what a guest can make.
const (
	MaxNodes = 4_096   // files and folders
	MaxOpen  = 256     // files and folders open at a time
	MaxSize  = 1 << 32 // bytes of a file: what is not written takes no memory
	MaxName  = 255     // bytes of a name
	MaxDepth = 64      // names in a path
)

// ErrHost is a panic: a file of the host could not be read, or is shorter than it was. The
// guest must not see what other hosts would not show it.
var ErrHost = errors.New("cannot read a file of this host")

// Host is a file of the host, shown under a name.
type Host struct {
	Name string
	From io.ReaderAt
	Size int64
}

// World is what a tree needs from the rest of the guest's world.
type World interface {
	// Now is the guest's virtual time in nanoseconds since 1970.
	Now() int64
	// Take asks for that many more bytes of the guest's memory; negative gives them back.
	Take(bytes int64) bool
}

// Tree is the file system of one guest. It implements sys.FS, for one caller at a time.
type Tree struct {
	sys.UnimplementedFS
	world World
	root  *node
	last  wasisys.Inode
	made  int // by the guest, and still there
	open  int
	state *state
}

// node is a file or a folder.
type node struct {
	number   wasisys.Inode
	children map[string]*node // of a folder
	host     *Host            // of a file of the host
	content  content          // of a file of the guest
	writable bool             // made by the guest, or a place where it may make something
	changed  int64
	handles  int
	gone     bool // not in the tree any more
	kept     bool // /state, or made in it
}

func (n *node) isDir() bool { return n.children != nil }

func (n *node) size() int64 {
	switch {
	case n.isDir():
		return 0
	case n.host != nil:
		return n.host.Size
	}
	return n.content.size
}

// New makes a tree. in may be nil.
func New(world World, data []Host, in *Host) *Tree {
	t := &Tree{world: world}
	t.root = t.folder(false)
	t.root.children["data"] = t.folder(false)
	t.root.children["in"] = t.folder(false)
	t.root.children["out"] = t.folder(true)
	t.root.children["tmp"] = t.folder(true)
	t.state = newState()
	t.root.children[stateName] = t.state.root
	for i := range data {
		t.root.children["data"].children[data[i].Name] = t.node(&node{host: &data[i]})
	}
	if in != nil {
		t.root.children["in"].children[in.Name] = t.node(&node{host: in})
	}
	return t
}

func (t *Tree) node(n *node) *node {
	t.last++
	n.number, n.changed = t.last, t.world.Now()
	return n
}

func (t *Tree) folder(writable bool) *node {
	return t.node(&node{children: make(map[string]*node), writable: writable})
}

// ValidName reports whether a file may be shown under that name.
func ValidName(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.Contains(name, "/") && len(name) <= MaxName && !strings.ContainsRune(name, 0)
}

// lookup finds the folder that p is in, and what p is there: nil when there is none. name
// is empty when p is the root.
func (t *Tree) lookup(p string) (dir *node, name string, found *node, errno sys.Errno) {
	if strings.ContainsRune(p, 0) {
		return nil, "", nil, sys.EINVAL
	}
	mustBeDir := strings.HasSuffix(p, "/")
	p = path.Clean("/" + p)[1:]
	if p == "" {
		return nil, "", t.root, 0
	}
	names := strings.Split(p, "/")
	if len(names) > MaxDepth {
		return nil, "", nil, sys.ENAMETOOLONG
	}
	t.state.touched = t.state.touched || names[0] == stateName
	found = t.root
	for _, name = range names {
		switch {
		case found == nil:
			return nil, "", nil, sys.ENOENT
		case !found.isDir():
			return nil, "", nil, sys.ENOTDIR
		case len(name) > MaxName:
			return nil, "", nil, sys.ENAMETOOLONG
		}
		dir, found = found, found.children[name]
	}
	if mustBeDir && found != nil && !found.isDir() {
		return nil, "", nil, sys.ENOTDIR
	}
	return dir, name, found, 0
}

// create puts a new node into a folder.
func (t *Tree) create(dir *node, name string, n *node) (*node, sys.Errno) {
	switch {
	case !dir.writable || dir.gone:
		return nil, sys.EROFS
	case t.made >= MaxNodes:
		return nil, sys.EIO
	}
	t.made++
	if dir.kept {
		dir.children[name] = t.state.number(n, t.world.Now())
	} else {
		dir.children[name] = t.node(n)
	}
	dir.changed = n.changed
	return n, 0
}

// remove takes a node out of its folder. Its bytes go with the last handle.
func (t *Tree) remove(dir *node, name string) {
	n := dir.children[name]
	delete(dir.children, name)
	dir.changed = t.world.Now()
	n.gone = true
	t.made--
	t.forget(n)
}

// forget gives back the memory of a node that nobody can reach any more.
func (t *Tree) forget(n *node) {
	if n.gone && n.handles == 0 && n.host == nil {
		t.resize(n, 0)
	}
}

// resize makes a guest's file shorter, or longer with zeros.
func (t *Tree) resize(n *node, size int64) {
	freed := n.content.resize(size)
	t.world.Take(-freed)
	n.changed = t.world.Now()
}

func (t *Tree) stat(n *node) wasisys.Stat_t {
	mode := fs.FileMode(0o400)
	switch {
	case n.isDir() && n.writable:
		mode = fs.ModeDir | 0o700
	case n.isDir():
		mode = fs.ModeDir | 0o500
	case n.writable:
		mode = 0o600
	}
	return wasisys.Stat_t{Ino: n.number, Mode: mode, Nlink: 1, Size: n.size(), Atim: n.changed, Mtim: n.changed, Ctim: n.changed}
}

func (n *node) setTime(mtim int64) sys.Errno {
	if !n.writable {
		return sys.EROFS
	}
	if mtim != sys.UTIME_OMIT {
		n.changed = mtim
	}
	return 0
}

// list is the folder's names in order.
func (n *node) list() []string {
	hidden := func(name string) bool { return n.children[name].kept && !n.kept } // /state is there for who names it
	return slices.DeleteFunc(slices.Sorted(maps.Keys(n.children)), hidden)
}
