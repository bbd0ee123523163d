package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

const (
	large = 100 << 20
	// mostMemory is what a daemon may have held in memory at any time while it moved large
	// blobs; each of them alone would be more with its pieces.
	mostMemory = 200 << 20
)

// gridMovesLargeBlobs: an input of 100 MB comes back as an output of 100 MB through nodes none
// of which holds it in memory, although a donor is killed while it fetches.
func gridMovesLargeBlobs(t *testing.T, g *gridtest.Grid) {
	dir := t.TempDir()
	program, input := filepath.Join(dir, "echo.wasm"), filepath.Join(dir, "large.bin")
	content := noise()
	for file, data := range map[string][]byte{program: guests()["echo.wasm"], input: content} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	submitter := g.Found("submitter", "up")
	donors := g.Donors(2)
	all := append(donors, submitter)
	g.Meet(2, all...)

	kill := submitter.Begin("submit", program, input, "--max-output", "128MiB", "--lease", "10s")
	victim := donors[0]
	g.Until("the donor has some of the input", func() bool { return onDisk(t, victim.Home) > large/5 })
	if onDisk(t, victim.Home) >= large {
		t.Log("the donor was killed after it had all of the input")
	}
	peak := victim.Peak()
	victim.Kill()
	kill()
	victim.Restart()
	job, _ := submitter.Submit(program, input, "--max-output", "128MiB", "--lease", "10s")
	wantDone(t, submitter.AwaitEnd(job))
	wantResults(t, submitter, job, content)
	for _, n := range all {
		if p := max(n.Peak(), peak); p > mostMemory {
			t.Errorf("%s has held %d MB in memory", n.Name, p>>20)
		} else {
			t.Logf("%s has held at most %d MB in memory", n.Name, p>>20)
		}
	}
}

// noise is bytes that cannot be made smaller, without those that the echo takes for a sign.
func noise() []byte {
	b := make([]byte, large)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(b) // never fails
	return bytes.ReplaceAll(b, []byte{'x'}, []byte{'y'})
}

// onDisk is how many bytes the files of a home have. Files that go meanwhile have none.
func onDisk(t *testing.T, home string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(home, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				sum += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// gridReportsFailures: inputs that fail, each in its own way, are reported by name with the
// reason and the end of what they said; the others are delivered.
func gridReportsFailures(t *testing.T, g *gridtest.Grid) {
	submitter := g.Found("submitter", "up")
	donors := g.Donors(2)
	g.Meet(2, append(donors, submitter)...)
	inputs := []struct{ name, text, outcome, reason, stderr string }{
		{"1-good", "good-one", "ok", "", ""},
		{"2-trap", "xtrapped", "trap", "unreachable", "xtrapped"},
		{"3-exit", "exitcode", "exit", "exit code 3", "exitcode"},
		{"4-memory", "memory!!", "memory", "more memory than the job allows (--memory)", "memory!!"},
		{"5-output", "outputs!", "output", "more output than the job allows (--max-output)", ""},
		{"6-good", "good-two", "ok", "", ""},
	}
	dir := t.TempDir()
	words := []string{writeBurner(t, 1), "--max-output", "1MiB", "--per-unit", "3"}
	for _, in := range inputs {
		file := filepath.Join(dir, in.name)
		if err := os.WriteFile(file, []byte(in.text), 0o600); err != nil {
			t.Fatal(err)
		}
		words = append(words, file)
	}
	job, _ := submitter.Submit(words...)
	if j := submitter.AwaitEnd(job); j.State != "done" || j.Inputs.Done != 6 || j.Inputs.Failed != 4 {
		t.Fatalf("the job ended otherwise: %+v", j)
	}
	if s := submitter.Shoal("wait", job); s.Code != 5 {
		t.Errorf("wait: exit code %d\n%s", s.Code, s.Err)
	}
	s := submitter.Shoal("results", job)
	if want := append(burnt(1, "good-one"), burnt(1, "good-two")...); s.Code != 5 || !bytes.Equal(s.Out, want) {
		t.Errorf("results: exit code %d, %x instead of %x", s.Code, s.Out, want)
	}
	if told := strings.Count(s.Err, ", as told by 12D3"); told != 4 {
		t.Errorf("%d of 4 failures name who told of them:\n%s", told, s.Err)
	}
	rows := bytes.Split(bytes.TrimSpace(submitter.Shoal("results", job, "--output", "jsonl").Out), []byte("\n"))
	if len(rows) != len(inputs) {
		t.Fatalf("%d rows for %d inputs", len(rows), len(inputs))
	}
	for i, in := range inputs {
		var row struct{ Name, Outcome, Stderr string }
		if err := json.Unmarshal(rows[i], &row); err != nil {
			t.Fatal(err)
		}
		if row.Name != in.name || row.Outcome != in.outcome || !strings.Contains(row.Stderr, in.stderr) {
			t.Errorf("%s: %s", in.name, rows[i])
		}
		log := donors[i%2].Shoal("logs", job, "--input", strconv.Itoa(i+1)) // any node knows
		if log.Code != 0 || !strings.Contains(string(log.Out), in.stderr) || !strings.Contains(string(log.Out), in.reason) {
			t.Errorf("logs of %s: exit code %d, %q\n%s", in.name, log.Code, log.Out, log.Err)
		}
		if in.reason == "" {
			continue
		}
		wantSaid(t, s.Err, fmt.Sprintf("failed: %s: %s", in.name, in.reason))
		wantSaid(t, s.Err, in.stderr)
	}
	if why := donors[0].Shoal("explain", job); why.Code != 0 || !strings.Contains(string(why.Out), "it is done: 4 of 6 inputs failed") {
		t.Errorf("explain: exit code %d, %s%s", why.Code, why.Out, why.Err)
	}
}
