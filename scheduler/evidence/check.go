package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// Options say what to ask of a file beside that it is sound.
type Options struct {
	// Submitter is whose job it has to be; zero: anybody's.
	Submitter jobs.NodeID
	// Partial accepts a file of a job that was not done: units without a verdict.
	Partial bool
	// Verify checks signatures; nil: jobs.Verify.
	Verify jobs.Verifier
	// Unit is called with every unit that is proved, in order; nil: not.
	Unit func(*Unit) error
}

// errStop ends a check where what follows cannot be understood any more.
var errStop = errors.New("evidence: cannot be read any further")

// Check reads a file to its end, or to where it cannot be read any further, and reports what it
// proves and all that is wrong with it. The error is that of the reader or of o.Unit.
func Check(r io.Reader, o Options) (*Report, error) {
	if o.Verify == nil {
		o.Verify = jobs.Verify
	}
	c := &checker{r: r, o: o, report: &Report{Donors: map[jobs.NodeID]*Share{}}}
	err := c.file()
	if errors.Is(err, errStop) {
		err = nil
	}
	return c.report, err
}

type checker struct {
	r      io.Reader
	at     uint64 // bytes that the sections before take
	o      Options
	report *Report

	job      *jobs.Job
	manifest *jobs.Manifest
	shard    uint32
	first    uint64 // number of the input that comes next
	custody  []*jobs.Record
	ledger   *scheduler.Ledger // of the chunk
}

func (c *checker) file() error {
	if err := c.opening(); err != nil {
		return err
	}
	for c.shard = range c.job.Head.Shards() {
		if err := c.shardPart(); err != nil {
			return err
		}
		for at := 0; at < len(c.manifest.Units); {
			n, err := c.chunk(at)
			if err != nil {
				return err
			}
			at += n
		}
	}
	if c.first != c.job.Head.Inputs {
		c.report.find("the job", "its units have %d inputs, its head says %d", c.first, c.job.Head.Inputs)
	}
	if _, err := readSection(c.r); !errors.Is(err, io.EOF) {
		return c.stop("the end of the file", "there is more after the last unit")
	}
	return nil
}

func (c *checker) stop(where, format string, args ...any) error {
	c.report.find(where, format, args...)
	return errStop
}

// section reads and decodes the next section.
func (c *checker) section(where string, v any) error {
	b, err := readSection(c.r)
	switch {
	case errors.Is(err, io.EOF):
		return c.stop(where, "missing: the file ends before it")
	case errors.Is(err, errFraming), errors.Is(err, errLong), errors.Is(err, errCut):
		return c.stop(where, "from byte %d on: %v", c.at+1, err)
	case err != nil:
		return err
	}
	from := c.at
	c.at += frameSize(len(b))
	if err := jobs.Decode(b, MaxSection, v); err != nil {
		return c.stop(where, "bytes %d to %d of the file are not as they were written: %s", from+1, c.at, unreadable(err))
	}
	return nil
}

// unreadable is why bytes could not be decoded, without the names that code has for things.
func unreadable(err error) string {
	for next := err; next != nil; next = errors.Unwrap(err) {
		err = next
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "cbor: "), " into Go ")
	return text
}

func (c *checker) opening() error {
	const where = "the head"
	var o opening
	if err := c.section(where, &o); err != nil {
		return err
	}
	var err error
	if c.job, err = o.open(); err != nil {
		return c.stop(where, "%v", err)
	}
	c.report.Job = c.job
	if s := c.job.Head.Submitter; !c.o.Submitter.IsZero() && s != c.o.Submitter {
		c.report.Foreign = true
		c.report.find(where, "the job is signed by %s, not by %s", s, c.o.Submitter)
	}
	return nil
}

func (o *opening) open() (*jobs.Job, error) {
	if o.Schema != Schema {
		return nil, fmt.Errorf("begins with %.40q: not evidence, or of another version than %s", o.Schema, Schema)
	}
	network, err := networkOf(o.Head)
	if err != nil {
		return nil, err
	}
	return jobs.OpenHead(o.Head, network)
}

// Opening reads of which job a file is evidence, and no further.
func Opening(r io.Reader) (*jobs.Job, error) {
	b, err := readSection(r)
	if err != nil {
		return nil, err
	}
	var o opening
	if err := jobs.Decode(b, 2*jobs.MaxHead, &o); err != nil {
		return nil, err
	}
	return o.open()
}

// networkOf reads the network that a head is for: evidence is checked in any.
func networkOf(signed []byte) (string, error) {
	var sh jobs.SignedHead
	if err := jobs.Decode(signed, jobs.MaxHead, &sh); err != nil {
		return "", err
	}
	var h jobs.Head
	if err := jobs.Decode(sh.Body, jobs.MaxHead, &h); err != nil {
		return "", err
	}
	return h.Network, nil
}

// units names a run of units of the current shard, from 1.
func (c *checker) units(at, n int) string {
	from := uint64(c.shard)*jobs.UnitsPerShard + uint64(at) + 1
	if n == 1 {
		return fmt.Sprintf("unit %d", from)
	}
	return fmt.Sprintf("units %d to %d", from, from+uint64(n)-1)
}

func (c *checker) shardPart() error {
	all := c.units(0, c.job.Head.ShardUnits(c.shard))
	where := "the list of inputs of " + all
	var s shardPart
	if err := c.section(where, &s); err != nil {
		return err
	}
	if s.Shard != c.shard {
		return c.stop(where, "it is that of others")
	}
	var err error
	if c.manifest, err = jobs.OpenManifest(&c.job.Head, c.shard, s.Manifest, s.Proof); err != nil {
		return c.stop(where, "%v", err)
	}
	if c.manifest.First != c.first {
		return c.stop(where, "begins with input %d, not %d", c.manifest.First+1, c.first+1)
	}
	where = "who keeps " + all
	c.custody = c.open(where, s.Custody)
	if len(c.custody) > MaxCustody {
		return c.stop(where, "more than %d records", MaxCustody)
	}
	l := scheduler.NewLedger(c.job, c.shard, c.manifest)
	for _, r := range c.custody {
		switch r.Kind {
		case jobs.KindPlacement, jobs.KindReceipt, jobs.KindHandover, jobs.KindFinal:
			c.apply(where, l, r)
		default:
			c.report.find(where, "%s does not belong here", name(r))
		}
	}
	if _, said := l.Finals(); !said && !c.o.Partial && c.job.Head.Policy.Level >= jobs.Strong {
		c.report.await(all, "agreed, not final: at %s only the submitter's key finishes, and its word is not here", c.job.Head.Policy.Level)
	}
	return nil
}

// open verifies batches and gives the records of the sound ones.
func (c *checker) open(where string, bs []jobs.Batch) []*jobs.Record {
	var out []*jobs.Record
	for i := range bs {
		b := &bs[i]
		if i > 0 && compareBatches(bs[i-1], *b) >= 0 {
			c.report.find(where, "records are out of order")
		}
		if b.Job != c.job.ID || b.Shard != c.shard {
			c.report.find(where, "%s: of another job or other units", names(b))
			continue
		}
		rs, err := b.OpenWith(c.job.Head.Network, c.o.Verify)
		if err != nil {
			c.report.find(where, "%s: %s", names(b), unreadable(err))
			continue
		}
		out = append(out, rs...)
	}
	return out
}

func (c *checker) apply(where string, l *scheduler.Ledger, r *jobs.Record) {
	switch fresh, err := l.Apply(r); {
	case err != nil:
		c.report.find(where, "%s: %v", name(r), err)
	case !fresh:
		c.report.find(where, "%s is there twice", name(r))
	}
}

// chunk checks the chunk that begins at a unit of the shard and gives how many units it is about.
func (c *checker) chunk(at int) (int, error) {
	left := len(c.manifest.Units) - at
	var k chunk
	if err := c.section("the votes of "+c.units(at, left), &k); err != nil {
		return 0, err
	}
	if int(k.First) != at || k.Count == 0 || int(k.Count) > left {
		return 0, c.stop("the votes of "+c.units(at, left), "they are said to be of %s", c.units(int(k.First), int(k.Count)))
	}
	where := "the votes of " + c.units(at, int(k.Count))
	rs := c.open(where, k.Batches)
	c.ledger = scheduler.NewLedger(c.job, c.shard, c.manifest)
	for _, r := range c.custody {
		_, _ = c.ledger.Apply(r) // what is wrong with it was found before
	}
	c.fill(where, rs, at, int(k.Count))
	c.tuples(where, rs, k.Tuples)
	c.needless(where, rs)
	for n := at; n < at+int(k.Count); n++ {
		if err := c.unit(n); err != nil {
			return 0, err
		}
	}
	return int(k.Count), nil
}

// fill applies a chunk's records: grants first, so that what leans on them can count when it comes.
func (c *checker) fill(where string, rs []*jobs.Record, at, n int) {
	slices.SortStableFunc(rs, func(a, b *jobs.Record) int { return int(a.Kind) - int(b.Kind) })
	for _, r := range rs {
		switch b := r.Body.(type) {
		case *jobs.Grant:
		case *jobs.Seal:
			if int(b.Unit) < at || int(b.Unit) >= at+n {
				c.report.find(where, "%s is about %s", name(r), c.units(int(b.Unit), 1))
				continue
			}
		case *jobs.Reveal:
			if int(b.Unit) < at || int(b.Unit) >= at+n {
				c.report.find(where, "%s is about %s", name(r), c.units(int(b.Unit), 1))
				continue
			}
		default:
			c.report.find(where, "%s does not belong here", name(r))
			continue
		}
		c.apply(where, c.ledger, r)
	}
}

// tuples opens the votes: their tuples are in the payload inside the reveal, or beside it.
func (c *checker) tuples(where string, rs []*jobs.Record, lists [][]jobs.Tuple) {
	beside := map[jobs.Digest][]jobs.Tuple{}
	for i, ts := range lists {
		if i > 0 && compareTuples(lists[i-1], ts) >= 0 {
			c.report.find(where, "lists of answers are out of order")
		}
		for k := range ts {
			if err := ts[k].Validate(); err != nil {
				c.report.find(where, "a list of answers, number %d: %v", k+1, err)
				break
			}
		}
		beside[jobs.TuplesDigest(ts)] = ts
	}
	used := map[jobs.Digest]bool{}
	for _, r := range rs {
		b, ok := r.Body.(*jobs.Reveal)
		if !ok || !c.ledger.Has(r) {
			continue
		}
		var ts []jobs.Tuple
		if len(b.Inline) > 0 {
			h, err := jobs.VerifyPayload(bytes.NewReader(b.Inline), int(c.manifest.Units[b.Unit].Count))
			if err != nil {
				c.report.find(where, "%s: %v", name(r), err)
				continue
			}
			ts = h.Tuples
		} else if ts, ok = beside[b.Tuples]; !ok {
			c.report.find(where, "%s: the answers it names by their digest are not there", name(r))
			continue
		} else {
			used[b.Tuples] = true
		}
		if err := c.ledger.Attach(r, ts); err != nil {
			c.report.find(where, "%s: %v", name(r), err)
		}
	}
	if len(used) != len(beside) {
		c.report.find(where, "there are answers that no vote names by their digest")
	}
}

// needless finds records on which nothing leans.
func (c *checker) needless(where string, rs []*jobs.Record) {
	leant := map[jobs.Digest]bool{}
	for _, r := range rs {
		if !c.ledger.Has(r) {
			continue // found before
		}
		switch b := r.Body.(type) {
		case *jobs.Seal:
			for _, id := range b.Grants {
				leant[id] = true
			}
		case *jobs.Reveal:
			for _, id := range b.Seals {
				leant[id] = true
			}
			for _, v := range c.ledger.Verdict(int(b.Unit)).Votes {
				if v.Seal != nil {
					leant[v.Seal.ID] = true
				}
			}
		}
	}
	for _, r := range rs {
		if (r.Kind == jobs.KindGrant || r.Kind == jobs.KindSeal) && !leant[r.ID] {
			c.report.find(where, "%s: nothing leans on it", name(r))
		}
	}
}

// name is a record in words.
func name(r *jobs.Record) string {
	unit := ""
	switch b := r.Body.(type) {
	case *jobs.Seal:
		unit = fmt.Sprintf(" of unit %d", uint64(r.Shard)*jobs.UnitsPerShard+uint64(b.Unit)+1)
	case *jobs.Reveal:
		unit = fmt.Sprintf(" of unit %d", uint64(r.Shard)*jobs.UnitsPerShard+uint64(b.Unit)+1)
	}
	return fmt.Sprintf("%s%s by %s", r.Kind, unit, r.Author)
}

// names is a batch in words: it may not be sound.
func names(b *jobs.Batch) string {
	if len(b.Entries) == 1 {
		return fmt.Sprintf("%s by %s", b.Entries[0].Kind, b.Author)
	}
	var kinds strings.Builder
	for i := range b.Entries {
		if k := b.Entries[i].Kind; i == 0 || k != b.Entries[i-1].Kind {
			kinds.WriteString("+" + k.String())
		}
		if i > 8 {
			break
		}
	}
	return fmt.Sprintf("%d records signed together (%.60s) by %s", len(b.Entries), kinds.String()[min(1, len(kinds.String())):], b.Author)
}
