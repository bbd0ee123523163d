package sim

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler/evidence"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// proofOf is the evidence of a job, as a node has it.
func proofOf(t *testing.T, c *collect.Collector) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := c.Evidence(context.Background(), &file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func findings(t *testing.T, file []byte) string {
	t.Helper()
	r, err := evidence.Check(bytes.NewReader(file), evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// The submitter's last word on a strong job makes it final everywhere, stands in the evidence, and
// holds on another machine with its key that knows nothing.
func TestFinalIsSaidToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		for range 4 {
			g.Add(donor)
		}
		liar := donor
		liar.Run = lie
		g.Add(liar)
		s, reader := g.Add(Kind{Keeps: true}), g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 12, Policy: strong(120)})
		said := proofOf(t, check(t, s, job, time.Hour))
		if wrong := findings(t, said); wrong != "" {
			t.Errorf("the submitter's evidence:\n%s", wrong)
		}

		c := check(t, reader, job, time.Minute)
		if p := c.Progress(time.Now()); !p.Final || p.Provisional > 0 {
			t.Errorf("not final at another node: %+v", p)
		}
		if wrong := findings(t, proofOf(t, c)); wrong != "" {
			t.Errorf("another node's evidence:\n%s", wrong)
		}

		s.Kill()
		s.disk, s.blob = newDisk(), newBlobs(s)
		s.Start(Kind{Keeps: true})
		c = check(t, s, job, 5*time.Minute)
		if wrong := findings(t, proofOf(t, c)); wrong != "" {
			t.Errorf("the evidence from another machine with the submitter's key:\n%s", wrong)
		}
		if again, err := c.LastWord(0); err != nil || len(again) != 1 || !bytes.Contains(said, again[0].Body.(*jobs.Final).Answers[0][:]) {
			t.Errorf("another machine with the submitter's key says something else: %v, %v", again, err)
		}
	})
}

// A flipped bit in the submitter's last word is found, and that it is missing too.
func TestFinalIsDemanded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		for range 3 {
			g.Add(donor)
		}
		s := g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 4, Policy: strong(120)})
		reader := g.Add(Kind{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		early, _ := reader.Collect(ctx, job)
		if wrong := findings(t, proofOf(t, early)); !strings.Contains(wrong, "agreed, not final") {
			t.Errorf("a job that its submitter has not finished is proved:\n%s", wrong)
		}
		c := check(t, s, job, time.Hour)
		file := proofOf(t, c)
		rs, err := c.LastWord(0)
		if err != nil || len(rs) != 1 {
			t.Fatalf("%d last words, %v", len(rs), err)
		}
		answers := rs[0].Body.(*jobs.Final).Answers
		at := bytes.LastIndex(file[:bytes.Index(file, answers[1][:])+32], answers[1][:])
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[at+3] ^= 1 << bit
			if findings(t, bad) == "" {
				t.Errorf("bit %d of an answer in the last word is flipped, and nobody minds", bit)
			}
		}
	})
}

// deaf are keepers to whom the submitter's last word cannot be brought.
type deaf struct{ *client.Client }

func (d deaf) Offer(ctx context.Context, ref protocol.ShardRef, rs []*jobs.Record) (*client.Offered, error) {
	if slices.ContainsFunc(rs, func(r *jobs.Record) bool { return r.Kind == jobs.KindFinal }) {
		return nil, client.ErrNoMajority
	}
	return d.Client.Offer(ctx, ref, rs)
}

// A submitter whose last word no keeper has heard goes on telling it, also in its next life.
func TestFinalIsSaidUntilItIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		defer g.Close()
		for range 3 {
			g.Add(donor)
		}
		s, reader := g.Add(Kind{}), g.Add(Kind{})
		job := submitTo(t, s, Job{Inputs: 4, Policy: strong(120)})
		cfg := s.collecting(job)
		cfg.Keepers = deaf{s.Client}
		first, err := collect.New(cfg, job)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
		defer cancel()
		if err := first.Run(ctx); err == nil || !first.Progress(time.Now()).Final {
			t.Fatalf("no keeper knows that the job is final: %v, %+v", err, first.Progress(time.Now()))
		}
		soon, done := context.WithTimeout(context.Background(), time.Minute)
		defer done()
		if c, err := reader.Collect(soon, job); err == nil {
			t.Errorf("final elsewhere: %+v", c.Progress(time.Now()))
		}
		s.Kill()
		s.Start(Kind{})
		check(t, s, job, time.Minute)
		check(t, reader, job, time.Minute)
	})
}
