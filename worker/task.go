package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// moment is a time by both clocks of a machine: the calendar goes on while it sleeps.
type moment struct {
	steady time.Time
	date   int64
}

func (w *Worker) moment() moment { return moment{w.rt.Now(), w.rt.Date()} }

type taskKey struct {
	ref  protocol.ShardRef
	unit uint16
}

// task is one execution of one replica, from claim to report.
type task struct {
	info     *jobInfo
	ref      protocol.ShardRef
	hold     jobs.Hold
	manifest *jobs.Manifest
	program  Program
	grants   []*jobs.Record
	inputs   []jobs.Input
	first    uint64    // number of the first input in the job, from 0
	renewed  time.Time // when its renewal was last begun
	held     moment    // when the keepers were asked who last said that it is held
	standing bool      // renewed at least once: the grant does not lapse by itself any more
	running  bool
	slot     int  // where it runs
	stored   bool // it is on disk, see recall.go
	ctx      context.Context
	cancel   context.CancelCauseFunc
}

func (t *task) key() taskKey { return taskKey{t.ref, t.hold.Unit} }

// outcome is a finished task: a result, before anyone is told.
type outcome struct {
	task    *task
	tuples  jobs.Digest
	gaveUp  bool
	why     string // it gave up, of the last input that did
	inline  []byte
	payload jobs.Blob
	cpu     time.Duration
}

var (
	errDropped    = errors.New("unit is not held any more")
	errLost       = errors.New("lease was lost")
	errNoMajority = errors.New("no majority of keepers has the records yet")
)

// failed gives a task back whose guest could not be run. A job whose guests keep crashing here
// is set aside: one bad job never takes the node down.
func (w *Worker) failed(t *task, err error) {
	if t.ctx.Err() != nil {
		w.drop(t, false)
		return
	}
	w.mu.Lock()
	aside := w.strike(t.info, fmt.Sprintf("its program could not be run here: %v", err))
	w.mu.Unlock()
	w.cfg.Logger.Warn("unit could not be run", t.key().ids(), "set_aside", aside, "error", err)
	w.drop(t, true)
	if aside {
		w.shed(t.info)
	}
}

// run runs a unit's inputs one after the other. Finished inputs are kept across restarts.
func (w *Worker) run(t *task, g Guest) (*outcome, error) {
	out := newSpool(w.cfg.Temp)
	defer out.Close()
	cp := w.checkpoint(t)
	tuples, stderr := make([]jobs.Tuple, len(t.inputs)), make([][]byte, len(t.inputs))
	o := &outcome{task: t}
	for i := range t.inputs {
		if f, ok := cp.restore(i, out); ok {
			tuples[i], stderr[i] = f.Tuple, f.Stderr
			o.gaveUp = o.gaveUp || f.Tuple.Outcome == jobs.GaveUp
			continue
		}
		start := out.Len()
		r, err := w.runInput(t, g, i, out)
		if err != nil {
			return nil, err
		}
		if r.Tuple.Outcome != jobs.OK {
			out.Truncate(start) // a failure has no output
		}
		tuples[i], stderr[i] = r.Tuple, last(r.Stderr, jobs.MaxStderr)
		if r.Tuple.Outcome == jobs.GaveUp {
			o.gaveUp, o.why = true, r.Reason
		}
		o.cpu += r.CPU
		cp.done(i, r.Tuple, stderr[i], out, start)
	}
	o.tuples = jobs.TuplesDigest(tuples)
	return o, w.pack(t, o, jobs.NewPayloadHead(tuples, stderr), out)
}

func last(b []byte, n int) []byte { return b[max(len(b)-n, 0):] }

// pack makes the unit's payload: inline where it is small, else a blob held until it is done.
func (w *Worker) pack(t *task, o *outcome, head []byte, out *spool) error {
	if int64(len(head))+out.Len() <= jobs.MaxInline {
		body, err := io.ReadAll(out.Reader(0))
		o.inline = append(head, body...)
		return err
	}
	b, err := w.cfg.Blobs.Put(io.MultiReader(bytes.NewReader(head), out.Reader(0)), jobs.MaxBlob)
	if err != nil {
		return err
	}
	o.payload = b
	return w.cfg.Blobs.Hold(t.ctx, resultOwner(t.key()), b, time.Unix(t.info.job.Head.Expires, 0))
}

func (w *Worker) runInput(t *task, g Guest, i int, out *spool) (Report, error) {
	in := &t.inputs[i]
	number := t.first + uint64(i)
	run := Input{Number: number, Args: in.Args(t.info.job.Head.Args, number)}
	if in.IsBlob() {
		f, err := w.cfg.Blobs.Open(in.Blob.Digest)
		if err != nil {
			return Report{}, err
		}
		defer f.Close()
		run.Stdin = f
	} else {
		run.Stdin = bytes.NewReader(in.Data)
	}
	if in.Name != "" && jobs.WantsFile(t.info.job.Head.Args) {
		file, err := w.inputFile(t, in)
		if err != nil {
			return Report{}, err
		}
		run.File = &File{Name: path.Base(in.Name), Path: file}
	}
	kept := &guestState{w: w, t: t, input: i}
	run.State = kept
	r, err := g.Run(t.ctx, run, out)
	if err == nil {
		if err := kept.forget(t.ctx); err != nil {
			w.cfg.Logger.Debug("a guest's state remains", t.key().ids(), "error", err)
		}
	}
	return r, err
}

// inputFile gives a small input, too, a file that a guest can be shown.
func (w *Worker) inputFile(t *task, in *jobs.Input) (string, error) {
	b := in.Blob
	if !in.IsBlob() {
		var err error
		if b, err = w.cfg.Blobs.Put(bytes.NewReader(in.Data), jobs.MaxInlineInput); err != nil {
			return "", err
		}
		if err := w.cfg.Blobs.Hold(t.ctx, workOwner(t.ref.Job), b, time.Unix(t.info.job.Head.Expires, 0)); err != nil {
			return "", err
		}
	}
	p, ok := w.cfg.Blobs.Path(b.Digest)
	if !ok {
		return "", errors.New("input is not here")
	}
	return p, nil
}

// renew extends what is held, at a third of the lease, and drops what was lost.
func (w *Worker) renew(ctx context.Context) {
	last, lastDate := w.rt.Now(), w.rt.Date()
	for strand.Sleep(ctx, w.rt, time.Second) == nil {
		now, date := w.rt.Now(), w.rt.Date()
		if slept(date-lastDate, now.Sub(last)) {
			w.cfg.Logger.Info("this machine slept, or its clock was set: every lease is renewed", "seconds", date-lastDate)
			w.expireLeases()
		}
		last, lastDate = now, date
		w.endStill(now)
		w.renewDue(ctx, moment{now, date})
	}
}

func (w *Worker) renewDue(ctx context.Context, now moment) {
	due := map[protocol.ShardRef][]jobs.Hold{}
	w.mu.Lock()
	for _, t := range w.tasks {
		if w.stands(t) {
			continue // it is not held for longer than its lease, see endStill
		}
		if now.steady.Sub(t.renewed) >= t.renewAfter() {
			t.renewed, t.standing = now.steady, true
			due[t.ref] = append(due[t.ref], t.hold)
		}
	}
	w.mu.Unlock()
	for _, ref := range inOrder(due) {
		holds := due[ref]
		slices.SortFunc(holds, jobs.CompareHolds)
		w.start(func(context.Context) {
			lost, err := w.cfg.Keepers.Renew(ctx, ref, holds)
			if err != nil {
				w.renewSoon(ref, holds)
				return
			}
			kept := slices.DeleteFunc(slices.Clone(holds), func(h jobs.Hold) bool { return slices.Contains(lost, h) })
			w.confirmed(ref, kept, now)
			w.remember(ctx, ref, kept)
			for _, h := range lost {
				w.lost(taskKey{ref, h.Unit})
			}
		})
	}
}

// confirmed notes that keepers who were asked at a time said what is held.
func (w *Worker) confirmed(ref protocol.ShardRef, holds []jobs.Hold, asked moment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range holds {
		if t := w.tasks[taskKey{ref, h.Unit}]; t != nil && t.held.steady.Before(asked.steady) {
			t.held = asked
		}
	}
}

// lapsed reports whether a stranger's unit may be somebody else's by now: then it is not begun. One
// that runs goes on, as its result counts all the same.
func (w *Worker) lapsed(t *task) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := w.rt.Now().Sub(t.held.steady)
	return !t.info.own && (since >= t.countsFor() || slept(w.rt.Date()-t.held.date, since))
}

// slept reports whether more time has gone by for the calendar than for the steady clock: the machine
// slept, or somebody set its clock.
func slept(seconds int64, steady time.Duration) bool {
	return time.Duration(seconds)*time.Second-steady > sleepSlack
}

// sleepSlack is how far the clocks may part in a second before that means something.
const sleepSlack = 5 * time.Second

// expireLeases counts every lease as over: each is renewed at once, which is a claim where the
// keepers know it no more, and what others have meanwhile is dropped.
func (w *Worker) expireLeases() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tasks {
		t.renewed, t.held, t.standing = time.Time{}, moment{}, false
	}
}

// firstRenewal comes before an unconfirmed grant lapses, which is after 10 s.
const firstRenewal = 4 * time.Second

func (t *task) renewAfter() time.Duration {
	third := t.info.job.Head.LeaseTime() / 3
	if t.standing {
		return third
	}
	return min(third, firstRenewal)
}

// renewSoon is for holds that could not be renewed: the next tick tries again. A result counts
// without a lease, too.
func (w *Worker) renewSoon(ref protocol.ShardRef, holds []jobs.Hold) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range holds {
		if t := w.tasks[taskKey{ref, h.Unit}]; t != nil {
			t.standing = false
		}
	}
}

func (w *Worker) lost(k taskKey) {
	w.mu.Lock()
	t := w.tasks[k]
	w.mu.Unlock()
	if t != nil {
		t.cancel(errLost)
		w.drop(t, false)
	}
}
