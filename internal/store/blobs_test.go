package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/shoalgrid/shoal/jobs"
)

// noise is n bytes that depend on seed alone.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// files lists the files under the blobs folder.
func files(t testing.TB, b *Blobs) (names []string) {
	t.Helper()
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var sizes = []int{0, 1, 1000, jobs.BlockSize - 1, jobs.BlockSize, jobs.BlockSize + 1, 2 * jobs.BlockSize, 3*jobs.BlockSize + 5}

func TestPutAndReadBack(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	for i, size := range sizes {
		data := noise(size, byte(i))
		blob, err := b.Put(iotest.HalfReader(bytes.NewReader(data)), uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		if blob != jobs.BlobOf(data) {
			t.Errorf("size %d: named %v, want %v", size, blob, jobs.BlobOf(data))
		}
		if again, err := b.PutBytes(data); err != nil || again != blob {
			t.Errorf("size %d: put again: %v, %v", size, again, err)
		}
		f, err := b.Open(blob.Digest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		f.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("size %d: read %d bytes, %v", size, len(got), err)
		}
		if n, ok := b.Size(blob.Digest); !ok || n != uint64(size) {
			t.Errorf("size %d: size %d, %v", size, n, ok)
		}
		checkBlocks(t, b, blob, data)
	}
	if got := len(files(t, b)); got != len(sizes) {
		t.Errorf("%d files for %d blobs", got, len(sizes))
	}
	var sum uint64
	for _, n := range sizes {
		sum += uint64(n)
	}
	if u := b.Usage(); u.Blobs != sum || u.Quota != DefaultQuota {
		t.Errorf("usage %+v, want %d bytes", u, sum)
	}
}

// checkBlocks reads data back block by block.
func checkBlocks(t *testing.T, b *Blobs, blob jobs.Blob, data []byte) {
	t.Helper()
	h := jobs.NewBlobHasher()
	h.Write(data)
	list := h.List()
	if blob.Blocks() > 1 {
		if got, err := b.Block(t.Context(), blob.Digest); err != nil || !bytes.Equal(got, list) {
			t.Errorf("list: %d bytes, %v", len(got), err)
		}
		if n, ok := b.BlockSize(blob.Digest); !ok || n != len(list) {
			t.Errorf("list: size %d, %v", n, ok)
		}
	}
	for i, d := range blockDigests(list) {
		want := data[i*jobs.BlockSize : min(len(data), (i+1)*jobs.BlockSize)]
		got, err := b.Block(t.Context(), d)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("block %d: %d bytes, %v; want %d", i, len(got), err, len(want))
		}
		if n, ok := b.BlockSize(d); !ok || n != len(want) || !b.HasBlock(d) {
			t.Errorf("block %d: size %d, %v", i, n, ok)
		}
	}
}

func TestWhatIsNotHere(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	d := jobs.Sum([]byte("nothing"))
	_, openErr := b.Open(d)
	_, blockErr := b.Block(t.Context(), d)
	_, bytesErr := b.Bytes(d, 1)
	for name, err := range map[string]error{
		"open": openErr, "block": blockErr, "bytes": bytesErr,
		"hold": b.Hold(t.Context(), "me", d, b.s.o.Now()),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.Has(d) || b.HasBlock(d) {
		t.Error("it is here")
	}
	if err := b.Remove(t.Context(), d); err != nil {
		t.Errorf("remove: %v", err)
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	broken := errors.New("broken pipe")
	for name, c := range map[string]struct {
		r    io.Reader
		max  uint64
		want error
	}{
		"one byte more":     {bytes.NewReader(make([]byte, 11)), 10, ErrTooLarge},
		"endless":           {zeros{}, 40 << 20, ErrTooLarge},
		"reader fails":      {io.MultiReader(bytes.NewReader(make([]byte, 9)), iotest.ErrReader(broken)), 100, broken},
		"fails at the edge": {io.MultiReader(bytes.NewReader(make([]byte, roomEvery)), iotest.ErrReader(broken)), 100 << 20, broken},
		"fails at once":     {iotest.ErrReader(broken), 100, broken},
	} {
		if _, err := b.Put(c.r, c.max); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if left := files(t, b); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if u := b.Usage(); u.Blobs != 0 {
		t.Errorf("usage %+v", u)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestDiskReserveIsLeft(t *testing.T) {
	home := t.TempDir()
	b := openIn(t, home, Options{NoSync: true, MinFree: 1 << 62}).Blobs()
	_, err := b.PutBytes([]byte("x"))
	if !errors.Is(err, ErrFull) {
		t.Errorf("put: %v", err)
	}
	if _, err := b.Partial(jobs.Blob{Digest: jobs.Sum(nil), Size: 1}); !errors.Is(err, ErrFull) {
		t.Errorf("partial: %v", err)
	}
	if _, err := b.Reserve("me", 1); !errors.Is(err, ErrFull) {
		t.Errorf("reserve: %v", err)
	}
	if left := files(t, b); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedBlobIsRemovedAndCanComeAgain(t *testing.T) {
	for i, size := range []int{500, 2*jobs.BlockSize + 500} {
		b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
		data := noise(size, byte(i))
		h := jobs.NewBlobHasher()
		h.Write(data)
		last := blockDigests(h.List())[h.Blob().Blocks()-1]
		for _, damage := range []func(path string) error{
			func(path string) error { // bit rot
				rotten := bytes.Clone(data)
				rotten[size-1] ^= 1
				return errors.Join(os.Remove(path), os.WriteFile(path, rotten, 0o444))
			},
			func(path string) error { return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, int64(size)-1)) },
			os.Remove,
		} {
			blob, err := b.PutBytes(data)
			require(t, err)
			require(t, b.Hold(t.Context(), "me", blob.Digest, b.s.o.Now()))
			path, _ := b.Path(blob.Digest)
			require(t, damage(path))
			if _, err := b.Block(t.Context(), last); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("size %d: read a damaged block: %v", size, err)
			}
			if b.Has(blob.Digest) || b.HasBlock(last) || b.Usage().Blobs != 0 || b.Held("") != 0 {
				t.Errorf("size %d: still here: %+v", size, b.Usage())
			}
		}
		blob, err := b.PutBytes(data)
		require(t, err)
		if _, err := b.Bytes(blob.Digest, uint64(size)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("bytes: %v", err)
		}
		if got, err := b.Bytes(blob.Digest, uint64(size)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("bytes: %d, %v", len(got), err)
		}
	}
}

func TestPutsOfTheSameBytesAtOnce(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{}).Blobs()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 5 {
				if _, err := b.PutBytes(noise(1000, byte(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := files(t, b); len(got) != 5 || b.Usage().Blobs != 5000 {
		t.Errorf("files %v, usage %+v", got, b.Usage())
	}
}

func TestSharedBlocksOutliveOneOfTheBlobs(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true}).Blobs()
	shared := noise(jobs.BlockSize, 1)
	one, err := b.PutBytes(append(bytes.Clone(shared), noise(10, 2)...))
	require(t, err)
	two, err := b.PutBytes(append(noise(jobs.BlockSize, 3), shared...))
	require(t, err)
	for _, gone := range []jobs.Blob{one, two} {
		if got, err := b.Block(t.Context(), jobs.Sum(shared)); err != nil || !bytes.Equal(got, shared) {
			t.Errorf("shared block: %d bytes, %v", len(got), err)
		}
		require(t, b.Remove(t.Context(), gone.Digest))
	}
	if b.HasBlock(jobs.Sum(shared)) || len(files(t, b)) > 0 {
		t.Error("the shared block is still here")
	}
}

// After an end that was not in order, or without the database, what lies in blobs/ is
// looked at: ours is taken up or removed, the rest is left alone.
func TestSurvey(t *testing.T) {
	for _, lostDB := range []bool{false, true} {
		home := t.TempDir()
		s := openIn(t, home, Options{NoSync: true})
		b := s.Blobs()
		kept, err := b.PutBytes(noise(2*jobs.BlockSize+9, 1))
		require(t, err)
		lost, err := b.PutBytes([]byte("file removed by somebody"))
		require(t, err)
		crash(t, s)

		write := func(name, text string) string {
			path := filepath.Join(home, "blobs", name)
			require(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)))
			return path
		}
		orphan, fake, part := jobs.Sum([]byte("orphan")), jobs.Sum([]byte("fake")), jobs.Sum([]byte("part"))
		in := func(d jobs.Digest) string { return d.String()[:2] + "/" + d.String() }
		write(in(orphan), "orphan")
		fakePath, partPath := write(in(fake), "not what the name says"), write(in(part)+partialSuffix, "half")
		tempPath := write("tmp-1234", "half of a put")
		foreign := []string{write("README", "mine"), write("ab/notes.txt", "mine"), write("zz/"+orphan.String(), "orphan"), write(in(orphan)+".bak", "orphan")}
		path, _ := b.Path(lost.Digest)
		require(t, os.Remove(b.path(lost.Digest)))
		if lostDB {
			require(t, os.Remove(filepath.Join(home, "state.db")))
		}

		s = openIn(t, home, Options{NoSync: true})
		b = s.Blobs()
		checkBlocks(t, b, kept, noise(2*jobs.BlockSize+9, 1))
		if got, err := b.Block(t.Context(), orphan); err != nil || string(got) != "orphan" {
			t.Errorf("database lost %v: orphan is %q, %v", lostDB, got, err)
		}
		if b.Has(lost.Digest) || b.Has(fake) || b.Usage().Blobs != kept.Size+6 {
			t.Errorf("database lost %v: %s, usage %+v", lostDB, path, b.Usage())
		}
		for _, gone := range []string{fakePath, partPath, tempPath} {
			if _, err := os.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("database lost %v: %s is still there", lostDB, gone)
			}
		}
		for _, name := range foreign {
			if _, err := os.Stat(name); err != nil {
				t.Errorf("database lost %v: %v", lostDB, err)
			}
		}
	}
}

func TestErrorsSayWhat(t *testing.T) {
	b := openIn(t, t.TempDir(), Options{NoSync: true, Quota: 100}).Blobs()
	_, err := b.Reserve("job/1", 200)
	if want := "no room: 0 of 100 bytes are taken, 200 wanted"; fmt.Sprint(err) != want {
		t.Errorf("got %q, want %q", err, want)
	}
	_, err = b.PutBytes(nil)
	require(t, err)
	if _, err = b.Put(strings.NewReader("abc"), 2); fmt.Sprint(err) != "put blob: larger than allowed: more than 2 bytes" {
		t.Errorf("got %q", err)
	}
}

func BenchmarkPutBlob(b *testing.B) {
	for _, size := range []int{20 << 10, 100 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			s := openIn(b, b.TempDir(), Options{})
			data := noise(size, 1)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				copy(data, fmt.Sprint(i)) // each a new blob
				blob, err := s.Blobs().PutBytes(data)
				require(b, err)
				if size > 1<<20 {
					require(b, s.Blobs().Remove(b.Context(), blob.Digest))
				}
			}
		})
	}
}
