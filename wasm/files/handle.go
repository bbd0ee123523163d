package files

import (
	"fmt"
	"io"
	"io/fs"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasisys "github.com/tetratelabs/wazero/sys"
)

// handle is an open file or folder.
type handle struct {
	sys.UnimplementedFile
	tree   *Tree
	node   *node
	read   bool
	write  bool
	append bool
	closed bool
	state  bool // a file of /state that may be written
}

// Ino implements sys.File.
func (h *handle) Ino() (wasisys.Inode, sys.Errno) { return h.node.number, 0 }

// Stat implements sys.File.
func (h *handle) Stat() (wasisys.Stat_t, sys.Errno) { return h.tree.stat(h.node), 0 }

// Utimens implements sys.File.
func (h *handle) Utimens(_, mtim int64) sys.Errno { return h.node.setTime(mtim) }

// Close implements sys.File.
func (h *handle) Close() sys.Errno {
	if !h.closed {
		h.closed = true
		h.tree.open--
		h.node.handles--
		h.tree.forget(h.node)
		if h.state {
			h.tree.state.settled()
		}
	}
	return 0
}

// offset is int64 under another name: go vet takes every Seek(int64, int) for a misspelt
// io.Seeker.
type offset = int64

// dirHandle is an open folder. What is listed was there when listing began.
type dirHandle struct {
	handle
	names []string // still to be listed; nil before the beginning
}

// IsDir implements sys.File.
func (h *dirHandle) IsDir() (bool, sys.Errno) { return true, 0 }

// SetAppend implements sys.File.
func (h *dirHandle) SetAppend(bool) sys.Errno { return sys.EISDIR }

// Read implements sys.File.
func (h *dirHandle) Read([]byte) (int, sys.Errno) { return 0, sys.EISDIR }

// Pread implements sys.File.
func (h *dirHandle) Pread([]byte, int64) (int, sys.Errno) { return 0, sys.EISDIR }

// Write implements sys.File.
func (h *dirHandle) Write([]byte) (int, sys.Errno) { return 0, sys.EISDIR }

// Pwrite implements sys.File.
func (h *dirHandle) Pwrite([]byte, int64) (int, sys.Errno) { return 0, sys.EISDIR }

// Truncate implements sys.File.
func (h *dirHandle) Truncate(int64) sys.Errno { return sys.EISDIR }

// Seek implements sys.File: a folder is only ever begun again.
func (h *dirHandle) Seek(off offset, whence int) (int64, sys.Errno) {
	if off != 0 || whence != io.SeekStart {
		return 0, sys.EINVAL
	}
	h.names = nil
	return 0, 0
}

// Readdir implements sys.File.
func (h *dirHandle) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	if h.names == nil {
		h.names = append([]string{}, h.node.list()...)
	}
	if n <= 0 {
		n = len(h.names)
	}
	var entries []sys.Dirent
	for len(h.names) > 0 && len(entries) < n {
		name := h.names[0]
		h.names = h.names[1:]
		child := h.node.children[name]
		if child == nil {
			continue // removed since
		}
		var typ fs.FileMode
		if child.isDir() {
			typ = fs.ModeDir
		}
		entries = append(entries, sys.Dirent{Ino: child.number, Name: name, Type: typ})
	}
	return entries, 0
}

// fileHandle is an open file.
type fileHandle struct {
	handle
	pos int64
}

// IsAppend implements sys.File.
func (h *fileHandle) IsAppend() bool { return h.append }

// SetAppend implements sys.File.
func (h *fileHandle) SetAppend(on bool) sys.Errno {
	h.append = on
	return 0
}

// Read implements sys.File.
func (h *fileHandle) Read(b []byte) (int, sys.Errno) {
	n, errno := h.Pread(b, h.pos)
	h.pos += int64(n)
	return n, errno
}

// Pread implements sys.File. It is short only at the end of the file.
func (h *fileHandle) Pread(b []byte, off int64) (int, sys.Errno) {
	switch {
	case !h.read:
		return 0, sys.EBADF
	case off < 0:
		return 0, sys.EINVAL
	case h.node.host == nil:
		return h.node.content.read(b, off), 0
	}
	host := h.node.host
	if off >= host.Size {
		return 0, 0
	}
	b = b[:min(int64(len(b)), host.Size-off)]
	if n, err := host.From.ReadAt(b, off); n < len(b) {
		panic(fmt.Errorf("%w: %s: %w", ErrHost, host.Name, err))
	}
	return len(b), 0
}

// Sync implements sys.File.
func (h *fileHandle) Sync() sys.Errno {
	if h.state {
		h.tree.state.settled()
	}
	return 0
}

// Datasync implements sys.File.
func (h *fileHandle) Datasync() sys.Errno { return h.Sync() }

// Seek implements sys.File.
func (h *fileHandle) Seek(off offset, whence int) (int64, sys.Errno) {
	var base int64
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = h.pos
	case io.SeekEnd:
		base = h.node.size()
	default:
		return 0, sys.EINVAL
	}
	to := base + off // base is not negative: a sum too large shows as a negative one
	if to < 0 {
		return 0, sys.EINVAL
	}
	h.pos = to
	return to, 0
}

// Write implements sys.File.
func (h *fileHandle) Write(b []byte) (int, sys.Errno) {
	if h.append {
		h.pos = h.node.size()
	}
	n, errno := h.Pwrite(b, h.pos)
	h.pos += int64(n)
	return n, errno
}

// Pwrite implements sys.File: all or nothing.
func (h *fileHandle) Pwrite(b []byte, off int64) (int, sys.Errno) {
	switch {
	case !h.write:
		return 0, sys.EBADF
	case off < 0:
		return 0, sys.EINVAL
	case off > MaxSize-int64(len(b)):
		return 0, sys.EIO
	case !h.tree.world.Take(h.node.content.missing(len(b), off)):
		return 0, sys.EIO // there is no "disk full" in wazero
	}
	h.node.content.write(b, off)
	h.node.changed = h.tree.world.Now()
	return len(b), 0
}

// Truncate implements sys.File.
func (h *fileHandle) Truncate(size int64) sys.Errno {
	switch {
	case !h.write || size < 0:
		return sys.EINVAL
	case size > MaxSize:
		return sys.EIO
	}
	h.tree.resize(h.node, size)
	return 0
}
