package files_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"

	"github.com/shoalgrid/shoal/wasm/files"
)

func make1(t *testing.T, tree *files.Tree, path string) sys.File {
	t.Helper()
	f, errno := tree.OpenFile(path, sys.O_CREAT|sys.O_RDWR, 0o600)
	if errno != 0 {
		t.Fatalf("open %s: %v", path, errno)
	}
	return f
}

func TestNothingGrowsWithoutEnd(t *testing.T) {
	for name, c := range map[string]struct {
		want sys.Errno
		once func(t *testing.T, tree *files.Tree, i int) sys.Errno
	}{
		"folders": {sys.EIO, func(t *testing.T, tree *files.Tree, i int) sys.Errno { return tree.Mkdir(fmt.Sprintf("tmp/%d", i), 0) }},
		"open files": {sys.EAGAIN, func(t *testing.T, tree *files.Tree, _ int) sys.Errno {
			_, errno := tree.OpenFile("tmp", sys.O_RDONLY, 0)
			return errno
		}},
		"depth": {sys.ENAMETOOLONG, func(t *testing.T, tree *files.Tree, i int) sys.Errno {
			return tree.Mkdir("tmp"+strings.Repeat("/x", i+1), 0)
		}},
		"names": {sys.ENAMETOOLONG, func(t *testing.T, tree *files.Tree, i int) sys.Errno {
			return tree.Mkdir("tmp/"+strings.Repeat("x", i+1), 0)
		}},
		"bytes": {sys.EIO, func(t *testing.T, tree *files.Tree, i int) sys.Errno {
			f := make1(t, tree, "tmp/file")
			defer f.Close()
			_, errno := f.Pwrite([]byte("text"), int64(i)<<12)
			return errno
		}},
		"size": {sys.EIO, func(t *testing.T, tree *files.Tree, i int) sys.Errno {
			f := make1(t, tree, "tmp/file")
			defer f.Close()
			return f.Truncate(1 << i)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := files.New(&world{memory: 10 << 20}, nil, nil)
			for i := range 10_000 {
				if errno := c.once(t, tree, i); errno == c.want {
					return
				} else if errno != 0 {
					t.Fatalf("after %d: %v, want %v", i, errno, c.want)
				}
			}
			t.Error("no end")
		})
	}
}

// A file that is deleted while it is open gives its bytes back when it is closed.
func TestDeletedFileLivesWhileOpen(t *testing.T) {
	w := &world{memory: 1 << 20}
	tree := files.New(w, nil, nil)
	f := make1(t, tree, "tmp/file")
	if n, errno := f.Write([]byte("text")); n != 4 || errno != 0 {
		t.Fatal(n, errno)
	}
	if errno := tree.Unlink("tmp/file"); errno != 0 {
		t.Fatal(errno)
	}
	if w.memory == 1<<20 {
		t.Error("its memory was given back while it was open")
	}
	b := make([]byte, 10)
	if n, errno := f.Pread(b, 0); string(b[:n]) != "text" || errno != 0 {
		t.Errorf("%q %v", b[:n], errno)
	}
	f.Close()
	f.Close()
	if w.memory != 1<<20 {
		t.Errorf("%d bytes of memory are lost", 1<<20-w.memory)
	}
}

func TestAppendGoesToTheEnd(t *testing.T) {
	tree := files.New(&world{memory: 1 << 20}, nil, nil)
	f := make1(t, tree, "tmp/file")
	f.Write([]byte("some "))
	if errno := f.SetAppend(true); errno != 0 || !f.IsAppend() {
		t.Fatal(errno)
	}
	f.Seek(0, 0)
	f.Write([]byte("text"))
	b := make([]byte, 10)
	if n, _ := f.Pread(b, 0); string(b[:n]) != "some text" {
		t.Errorf("%q", b[:n])
	}
}

// A host file that cannot be read is no error for the guest to see.
func TestUnreadableHostFileStopsTheGuest(t *testing.T) {
	tree := files.New(&world{}, []files.Host{{Name: "short", From: strings.NewReader("four"), Size: 5}}, nil)
	f, errno := tree.OpenFile("data/short", sys.O_RDONLY, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	b := make([]byte, 4)
	if n, errno := f.Read(b); n != 4 || errno != 0 {
		t.Fatal(n, errno)
	}
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, files.ErrHost) {
			t.Errorf("panic %v", err)
		}
	}()
	f.Read(b)
}
