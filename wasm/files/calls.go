package files

import (
	"io/fs"
	"path"
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasisys "github.com/tetratelabs/wazero/sys"
)

// OpenFile implements sys.FS.
func (t *Tree) OpenFile(p string, flag sys.Oflag, _ fs.FileMode) (sys.File, sys.Errno) {
	create := flag&sys.O_CREAT != 0
	if create && strings.HasSuffix(p, "/") {
		return nil, sys.EISDIR
	}
	dir, name, n, errno := t.lookup(p)
	if errno != 0 {
		return nil, errno
	}
	if t.open >= MaxOpen {
		return nil, sys.EAGAIN
	}
	write := flag&(sys.O_RDWR|sys.O_WRONLY) != 0
	switch {
	case n == nil && !create:
		return nil, sys.ENOENT
	case n == nil:
		if n, errno = t.create(dir, name, &node{writable: true}); errno != 0 {
			return nil, errno
		}
	case create && flag&sys.O_EXCL != 0:
		return nil, sys.EEXIST
	case n.isDir() && (write || create || flag&sys.O_TRUNC != 0):
		return nil, sys.EISDIR
	case !n.isDir() && flag&sys.O_DIRECTORY != 0:
		return nil, sys.ENOTDIR
	case !n.writable && (write || flag&sys.O_TRUNC != 0):
		return nil, sys.EROFS
	case flag&sys.O_TRUNC != 0:
		t.resize(n, 0)
	}
	t.open++
	n.handles++
	h := handle{
		tree: t, node: n, read: flag&sys.O_WRONLY == 0, write: write, append: flag&sys.O_APPEND != 0,
		state: write && t.isState(p),
	}
	if n.isDir() {
		return &dirHandle{handle: h}, 0
	}
	return &fileHandle{handle: h}, 0
}

// Stat implements sys.FS.
func (t *Tree) Stat(p string) (wasisys.Stat_t, sys.Errno) {
	_, _, n, errno := t.lookup(p)
	if errno != 0 {
		return wasisys.Stat_t{}, errno
	}
	if n == nil {
		return wasisys.Stat_t{}, sys.ENOENT
	}
	return t.stat(n), 0
}

// Lstat implements sys.FS. There are no links.
func (t *Tree) Lstat(p string) (wasisys.Stat_t, sys.Errno) { return t.Stat(p) }

// Readlink implements sys.FS. There are no links.
func (t *Tree) Readlink(p string) (string, sys.Errno) {
	if _, errno := t.Stat(p); errno != 0 {
		return "", errno
	}
	return "", sys.EINVAL
}

// Mkdir implements sys.FS.
func (t *Tree) Mkdir(p string, _ fs.FileMode) sys.Errno {
	dir, name, n, errno := t.lookup(strings.TrimRight(p, "/"))
	switch {
	case errno != 0:
		return errno
	case n != nil:
		return sys.EEXIST
	}
	_, errno = t.create(dir, name, &node{children: make(map[string]*node), writable: true})
	return errno
}

// Rmdir implements sys.FS.
func (t *Tree) Rmdir(p string) sys.Errno {
	dir, name, n, errno := t.lookup(p)
	switch {
	case errno != 0:
		return errno
	case n == nil:
		return sys.ENOENT
	case !n.isDir():
		return sys.ENOTDIR
	case dir == nil || !dir.writable:
		return sys.EROFS
	case len(n.children) > 0:
		return sys.ENOTEMPTY
	}
	t.remove(dir, name)
	return 0
}

// Unlink implements sys.FS.
func (t *Tree) Unlink(p string) sys.Errno {
	dir, name, n, errno := t.lookup(p)
	switch {
	case errno != 0:
		return errno
	case n == nil:
		return sys.ENOENT
	case n.isDir():
		return sys.EISDIR
	case !dir.writable:
		return sys.EROFS
	}
	t.remove(dir, name)
	return 0
}

// Rename implements sys.FS.
func (t *Tree) Rename(from, to string) sys.Errno {
	fromDir, fromName, moved, errno := t.lookup(from)
	if errno != 0 {
		return errno
	}
	toDir, toName, there, errno := t.lookup(strings.TrimRight(to, "/"))
	switch {
	case errno != 0:
		return errno
	case moved == nil:
		return sys.ENOENT
	case fromDir == nil || toDir == nil || !fromDir.writable || !toDir.writable:
		return sys.EROFS
	case !moved.isDir() && strings.HasSuffix(to, "/"):
		return sys.ENOTDIR
	case moved == there:
		return 0
	case within(to, from):
		return sys.EINVAL // into itself
	case within(from, to):
		return sys.ENOTEMPTY
	}
	if there != nil {
		switch {
		case moved.isDir() && !there.isDir():
			return sys.ENOTDIR
		case !moved.isDir() && there.isDir():
			return sys.EISDIR
		case len(there.children) > 0:
			return sys.ENOTEMPTY
		}
		t.remove(toDir, toName)
	}
	delete(fromDir.children, fromName)
	toDir.children[toName] = moved
	fromDir.changed = t.world.Now()
	toDir.changed = fromDir.changed
	if t.isState(to) {
		t.state.settled()
	}
	return 0
}

// within reports whether a path is that of a folder or leads into it.
func within(p, dir string) bool {
	return strings.HasPrefix(path.Clean("/"+p)+"/", path.Clean("/"+dir)+"/")
}

// Utimens implements sys.FS: only the time of a change is kept.
func (t *Tree) Utimens(p string, _, mtim int64) sys.Errno {
	_, _, n, errno := t.lookup(p)
	switch {
	case errno != 0:
		return errno
	case n == nil:
		return sys.ENOENT
	}
	return n.setTime(mtim)
}
