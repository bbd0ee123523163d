package files_test

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/wasm/files"
)

// put writes a file of the tree and closes it.
func put(t testing.TB, tree *files.Tree, path, text string) {
	t.Helper()
	f, errno := tree.OpenFile(path, sys.O_CREAT|sys.O_TRUNC|sys.O_RDWR, 0)
	if errno != 0 {
		t.Fatalf("open %s: %v", path, errno)
	}
	if n, errno := f.Write([]byte(text)); n != len(text) || errno != 0 {
		t.Fatalf("write %s: %v", path, errno)
	}
	if errno := f.Close(); errno != 0 {
		t.Fatal(errno)
	}
}

func get(t testing.TB, tree *files.Tree, path string) string {
	t.Helper()
	f, errno := tree.OpenFile(path, sys.O_RDONLY, 0)
	if errno != 0 {
		t.Fatalf("open %s: %v", path, errno)
	}
	defer f.Close()
	b := make([]byte, 1<<20)
	n, errno := f.Read(b)
	if errno != 0 {
		t.Fatal(errno)
	}
	return string(b[:n])
}

func stateOf(t testing.TB, tree *files.Tree) []byte {
	t.Helper()
	state, err := tree.State()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestStateIsFoundAgain(t *testing.T) {
	first := files.New(&world{memory: memory}, nil, nil)
	var kept []byte
	first.KeepState(func() { kept = stateOf(t, first) })
	if errno := first.Mkdir("/state/deep", 0); errno != 0 {
		t.Fatal(errno)
	}
	put(t, first, "/state/deep/far", "41")
	put(t, first, "/state/new", "42")
	if errno := first.Rename("/state/new", "/state/far"); errno != 0 {
		t.Fatal(errno)
	}
	put(t, first, "/out/answer", "not of the state")

	again := files.New(&world{memory: memory}, nil, nil)
	if err := again.RestoreState(kept); err != nil {
		t.Fatal(err)
	}
	if again.UsesState() {
		t.Error("restoring counts as the guest's doing")
	}
	if a, b := get(t, again, "state/far"), get(t, again, "/state/deep/far"); a != "42" || b != "41" {
		t.Errorf("found %q and %q", a, b)
	}
	if !again.UsesState() {
		t.Error("the guest has named /state, and it does not show")
	}
	if !bytes.Equal(stateOf(t, again), kept) {
		t.Error("what was restored is another state")
	}
	var out bytes.Buffer
	if err := again.WriteOut(&out); err != nil || out.Len() > 0 {
		t.Errorf("the state is in the output: %d bytes, %v", out.Len(), err)
	}
}

// A guest that does not name /state sees nothing of it; and what is elsewhere is numbered the
// same with a state as without.
func TestStateDoesNotShow(t *testing.T) {
	bare, with := files.New(&world{memory: memory}, nil, nil), files.New(&world{memory: memory}, nil, nil)
	donor := files.New(&world{memory: memory}, nil, nil)
	put(t, donor, "/state/a", "1")
	if err := with.RestoreState(stateOf(t, donor)); err != nil {
		t.Fatal(err)
	}
	put(t, bare, "/state/a", "1")
	for _, tree := range []*files.Tree{bare, with} {
		put(t, tree, "/out/x", "x")
	}
	a, _ := bare.Stat("/out/x")
	b, _ := with.Stat("/out/x")
	if a.Ino != b.Ino || a.Ino > 100 {
		t.Errorf("/out/x is number %d without a state, %d with one", a.Ino, b.Ino)
	}
	root, errno := files.New(&world{}, nil, nil).OpenFile("/", sys.O_RDONLY, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	entries, errno := root.Readdir(-1)
	if errno != 0 || len(entries) != 4 {
		t.Errorf("the root lists %v, %v", entries, errno)
	}
}

func TestLargeStateIsNotKept(t *testing.T) {
	tree := files.New(&world{memory: memory}, nil, nil)
	f, errno := tree.OpenFile("/state/big", sys.O_CREAT|sys.O_RDWR, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	if errno := f.Truncate(files.MaxState + 1); errno != 0 {
		t.Fatal(errno)
	}
	if state, err := tree.State(); err == nil {
		t.Errorf("%d bytes are kept", len(state))
	}
}

// What is kept is what was there, whatever the files are.
func TestStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-c]{1,3}`)
		want := rapid.MapOf(name, rapid.SliceOfN(rapid.Byte(), 0, 9000)).Draw(t, "files")
		first, w := files.New(&world{memory: memory}, nil, nil), &world{memory: memory}
		for name, text := range want {
			f, errno := first.OpenFile("/state/"+name, sys.O_CREAT|sys.O_RDWR, 0)
			if errno != 0 {
				t.Fatal(errno)
			}
			if _, errno := f.Pwrite(text, 0); errno != 0 {
				t.Fatal(errno)
			}
		}
		state, err := first.State()
		if err != nil {
			t.Fatal(err)
		}
		again := files.New(w, nil, nil)
		if err := again.RestoreState(state); err != nil {
			t.Fatal(err)
		}
		got := map[string][]byte{}
		for name := range want {
			f, errno := again.OpenFile("/state/"+name, sys.O_RDONLY, 0)
			if errno != 0 {
				t.Fatalf("%s: %v", name, errno)
			}
			b := make([]byte, 10000)
			n, _ := f.Read(b)
			got[name] = b[:n]
		}
		if !maps.EqualFunc(got, want, bytes.Equal) {
			t.Fatal("other files")
		}
	})
}

// A state from a disk that lies is refused, in bounded memory.
func FuzzRestoreState(f *testing.F) {
	tree := files.New(&world{memory: memory}, nil, nil)
	put(f, tree, "/state/a", "1")
	f.Add(stateOf(f, tree))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, archive []byte) {
		w := &world{memory: 1 << 20}
		tree := files.New(w, nil, nil)
		if err := tree.RestoreState(archive); err != nil {
			return
		}
		if w.memory < 0 {
			t.Error("more memory than there is")
		}
		again := files.New(&world{memory: memory}, nil, nil)
		if state, err := tree.State(); err != nil {
			t.Error(err)
		} else if err := again.RestoreState(state); err != nil {
			t.Error(errors.Join(err))
		}
	})
}
