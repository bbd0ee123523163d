package store

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

const childHome = "SHOAL_STORE_TEST_CHILD"

// TestMain is also the child process that TestKill kills.
func TestMain(m *testing.M) {
	if home := os.Getenv(childHome); home != "" {
		fmt.Println(writeForEver(home))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver stores values, blobs and blocks of a partial blob from several goroutines,
// and says on stdout what was acknowledged. Every round takes numbers of its own.
func writeForEver(home string) error {
	s, err := Open(home, Options{})
	if err != nil {
		return err
	}
	round := os.Getenv(childHome + "_ROUND")
	var mu sync.Mutex
	say := func(kind string, what any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(kind, what)
	}
	failed := make(chan error)
	run := func(step func(i int) error) {
		go func() {
			for i := 0; ; i++ {
				if err := step(i); err != nil {
					failed <- err
				}
			}
		}()
	}
	ctx, b := context.Background(), s.Blobs()
	for w := range 3 {
		run(func(i int) error {
			key := fmt.Sprintf("%s/%d/%d", round, w, i)
			err := s.Table("t").Put(ctx, KV{[]byte(key), []byte("value of " + key)})
			say("key", key)
			return err
		})
	}
	run(func(i int) error {
		data := noise(i*1_000, round[0])
		copy(data, round)
		blob, err := b.PutBytes(data)
		if err == nil {
			err = b.Hold(ctx, "owner", blob.Digest, time.Now().Add(time.Hour))
		}
		say("blob", blob.Digest)
		return err
	})
	run(func(i int) error {
		blob, list, blocks := blocksOf(childBlob(round, i))
		p, err := b.Partial(blob)
		if err != nil {
			return err
		}
		defer p.Close()
		if err := p.PutList(list); err != nil {
			return err
		}
		for d, data := range blocks {
			if err := p.PutBlock(d, data); err != nil {
				return err
			}
		}
		err = p.Finish()
		say("partial", i)
		return err
	})
	return <-failed
}

// childBlob is the i-th blob that a child receives in blocks.
func childBlob(round string, i int) []byte {
	return append(noise(2*jobs.BlockSize, round[0]), fmt.Sprint(round, i)...)
}

// TestKill kills a writing process at any moment, twenty times over on one home: what it
// said is stored must be there, and nothing half-written may show.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for seconds")
	}
	home := filepath.Join(t.TempDir(), "home")
	acked := map[string]int{}
	for round := range 20 {
		name := string(rune('A' + round))
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childHome+"="+home, childHome+"_ROUND="+name)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require(t, err)
		require(t, cmd.Start())
		lines := bufio.NewScanner(out)
		var said []string
		for n := 0; n < 5+round*10 && lines.Scan(); n++ { // each time later
			said = append(said, lines.Text())
		}
		require(t, cmd.Process.Kill())
		for lines.Scan() { // said before the kill, and so promised
			said = append(said, lines.Text())
		}
		_ = cmd.Wait() // killed
		checkAfterKill(t, home, name, said, acked)
	}
	t.Logf("acknowledged and found: %v", acked)
	for _, kind := range []string{"key", "blob", "partial"} {
		if acked[kind] == 0 {
			t.Errorf("no %s was ever acknowledged", kind)
		}
	}
}

func checkAfterKill(t *testing.T, home, round string, said []string, acked map[string]int) {
	t.Helper()
	s, err := Open(home, Options{})
	require(t, err)
	defer func() { require(t, s.Close()) }()
	b := s.Blobs()
	for _, line := range said {
		kind, what, ok := strings.Cut(line, " ")
		if !ok || !strings.Contains("key blob partial", kind) {
			t.Fatalf("round %s: child says %q", round, line)
		}
		acked[kind]++
		switch kind {
		case "key":
			if got := get(t, s.Table("t"), what); got != "value of "+what {
				t.Fatalf("round %s: %s has value %q", round, what, got)
			}
		case "blob":
			d, err := jobs.ParseDigest(what)
			require(t, err)
			if holders, err := b.holders(d); err != nil || !b.Has(d) || len(holders) != 1 {
				t.Fatalf("round %s: blob %s: here %v, held by %v, %v", round, what, b.Has(d), holders, err)
			}
		case "partial":
			i, err := strconv.Atoi(what)
			require(t, err)
			data := childBlob(round, i)
			if got, err := b.Bytes(jobs.BlobOf(data).Digest, jobs.MaxBlob); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("round %s: partial %s: %d bytes, %v", round, what, len(got), err)
			}
		}
	}
	checkFiles(t, b)
}

// checkFiles verifies that every visible file is the blob that its name says and known.
func checkFiles(t *testing.T, b *Blobs) {
	t.Helper()
	err := filepath.WalkDir(b.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) == partialSuffix {
			return err
		}
		blob, _, err := nameFile(path)
		if err == nil && (blob.Digest.String() != e.Name() || !b.Has(blob.Digest)) {
			t.Errorf("%s is visible, but is %s, known %v", path, blob.Digest, b.Has(blob.Digest))
		}
		return err
	})
	require(t, err)
}
