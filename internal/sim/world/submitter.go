package world

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler/evidence"
)

// work is one job, from the wish to the answers.
type work struct {
	w       *world
	at      *node // its submitter
	units   int
	votes   int
	takes   time.Duration // of a unit, on a usual node
	dice    bool          // its program is not deterministic
	leaves  bool          // its submitter goes away once it is published
	profile jobs.Profile  // by which its program is run
	cancel  bool          // its submitter does not want it any more, some time after
	cheat   *cheat        // nil: its submitter is honest

	job      *jobs.Job // nil until it is made
	posted   bool
	final    bool // at strong: the submitter has said that its answers are
	complete bool
	counted  bool
	ended    time.Duration // when it was complete
	accepted map[uint64][32]byte
	gave     map[uint64]jobs.Digest // the outputs that were delivered
}

// submit lets a node have a job to submit, when it is up.
func (w *world) submit(at *node, i int) {
	k := &work{
		w: w, at: at, votes: votesOf(w.level()), accepted: map[uint64][32]byte{}, gave: map[uint64]jobs.Digest{},
		takes: w.between(500*time.Millisecond, w.fate.unitTime), leaves: w.chance(w.fate.leavePPM),
		dice: w.chance(w.fate.dicePPM), cancel: w.chance(w.fate.cancelPPM),
	}
	if w.fate.releases && w.draw(2) == 0 {
		k.profile, at.newer = 1, true
	}
	k.units = w.fate.units / w.fate.submitters
	if i == 0 {
		k.units += w.fate.units % w.fate.submitters
	}
	w.report.Units += k.units
	w.works = append(w.works, k)
}

func (w *world) workOf(id jobs.JobID) *work {
	for _, k := range w.works {
		if k.job != nil && k.job.ID == id {
			return k
		}
	}
	return nil
}

// publishAgain is how long a submitter waits before it tries to place a job again.
const publishAgain = 15 * time.Second

// live is what the submitter's node does about its job in one run of its process, as
// internal/node would.
func (k *work) live(p *process) {
	for k.find(p) != nil || k.job == nil && k.create(p) != nil { // the disk fails, or is full: the person tries again
		if strand.Sleep(p.ctx, p.m, publishAgain) != nil {
			return
		}
	}
	p.board.add(k.job)
	for !k.posted {
		if err := k.publish(p); err != nil && strand.Sleep(p.ctx, p.m, publishAgain) != nil {
			return
		}
	}
	if k.leaves && !k.w.healed {
		k.w.tell("%s goes offline, its job is on the grid", p.name)
		k.w.step("leave", []byte(p.name))
		p.node.kill()
		p.m.Check()
	}
	p.m.Go(func() { k.replace(p) })
	if k.cancel { // while the job goes on, or when it is done; a long one, too, before the world gives it up
		_ = strand.Sleep(p.ctx, p.m, k.w.between(0, min(2*k.takes*time.Duration(k.units), k.w.opt.Limit/2)))
		k.w.tell("%s cancels its job", p.name)
		for {
			if _, err := p.submitter.Control(p.ctx, k.job, &jobs.Control{Number: 1, Act: jobs.ActCancel}); err == nil {
				k.over()
				return
			}
			if strand.Sleep(p.ctx, p.m, publishAgain) != nil {
				return
			}
		}
	}
	k.collect(p)
}

// find takes up a job that an earlier run of the node has made.
func (k *work) find(p *process) error {
	if k.job != nil && k.w.opt.Defect == SubmitAgain {
		_ = k.create(p)
	}
	found := k.job == nil
	err := p.submitter.All(func(o *submit.Own, job *jobs.Job) error {
		if k.job != nil && k.job.ID != job.ID {
			k.w.broke("I5", "%s has another job than it had", p.name)
		}
		k.job, k.posted, found = job, o.Posted, true
		return nil
	})
	if err == nil && !found {
		k.w.broke("I5", "%s does not find the job that it had", p.name)
	}
	return err
}

func (k *work) create(p *process) error {
	program, err := p.view().Put(bytes.NewReader(fmt.Appendf(nil, "program of %s", p.name)), 1<<20)
	if err != nil {
		return err
	}
	now := p.m.Date()
	job, err := p.submitter.Create(p.ctx, submit.Spec{
		Head: jobs.Head{
			Created: now, Expires: now + 14*24*3600, Program: program, Profile: k.profile, Policy: k.policy(), UnitTime: uint32(k.takes / time.Millisecond),
			Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, CPU: 3_600_000},
		},
		PerUnit: 1,
		Inputs: func(_ func(jobs.Input) error, addRange func(int64, int64) error) error {
			return addRange(0, int64(k.units)-1)
		},
	})
	if err != nil {
		return err
	}
	k.job = job
	k.w.step("job", job.ID[:])
	k.w.tell("%s submits %d units of %s, %d votes each", p.name, k.units, k.takes.Round(time.Second/10), k.votes)
	return nil
}

func (k *work) policy() jobs.Policy {
	p := jobs.Policy{Level: k.w.level(), Votes: uint8(k.votes), Lease: 120}
	if p.Level == jobs.Trusted {
		p.Trust = k.w.donors()
	}
	return k.w.opt.Defect.policy(p, k.w)
}

// level is at which all jobs of a world are verified.
func (w *world) level() jobs.Level {
	if w.opt.Level == 0 {
		return jobs.Standard
	}
	return w.opt.Level
}

// votesOf is what an answer needs at a level.
func votesOf(l jobs.Level) int {
	switch l {
	case jobs.Trusted:
		return 1
	case jobs.Paranoid:
		return jobs.ParanoidVotes
	}
	return 2
}

// maxTrusted is how many donors a submitter names, at trusted.
const maxTrusted = 3

// donors are some whose word can be enough for a submitter: honest ones, for whom would it name else?
func (w *world) donors() (ids []jobs.NodeID) {
	for _, n := range w.nodes {
		if n.role.donates && n.honest() && len(ids) < maxTrusted {
			ids = append(ids, n.ID())
		}
	}
	return ids
}

// judges reports whether only the submitters make answers final.
func (w *world) judges() bool { return w.level() >= jobs.Strong }

// publish places the job and puts it on the board.
func (k *work) publish(p *process) error {
	held, _, err := p.submitter.Publish(p.ctx, k.job, nil)
	if err != nil {
		return err
	}
	k.w.gossip(p.node, k.job)
	err = p.submitter.Update(p.ctx, k.job.ID, func(o *submit.Own) {
		o.Posted, o.Held, o.Wanted = true, uint8(held.Keepers), uint8(held.Wanted)
	})
	if err == nil {
		k.posted = true
		k.w.tell("%s is published: %d of %d keepers hold it", p.name, held.Keepers, held.Wanted)
	}
	return err
}

// replace looks after a job that is placed: its keepers may all have gone.
func (k *work) replace(p *process) {
	for strand.Sleep(p.ctx, p.m, replaceEvery) == nil && !k.complete {
		if _, _, err := p.submitter.Publish(p.ctx, k.job, nil); err == nil {
			k.w.gossip(p.node, k.job)
		}
	}
}

const replaceEvery = 10 * time.Minute

// collect gathers the answers, and holds them against what is true.
func (k *work) collect(p *process) {
	c, err := collect.New(collect.Config{
		Keepers: p.client, Disk: p.table('c'), Blobs: p.view(), Logger: k.w.opt.Logger, Runtime: p.m, Judge: p.judge,
		Manifest: func(shard uint32) (*jobs.Manifest, []jobs.Digest, error) { return p.submitter.Manifest(k.job, shard) },
	}, k.job)
	if err != nil {
		p.fails(err)
		return
	}
	for c.Run(p.ctx) != nil {
		if strand.Sleep(p.ctx, p.m, publishAgain) != nil {
			return
		}
	}
	for k.answers(p, c) != nil { // its disk, or who has the bytes, fails at the moment
		if strand.Sleep(p.ctx, p.m, publishAgain) != nil {
			return
		}
	}
	k.over()
}

func (k *work) over() {
	if !k.complete {
		k.complete, k.ended = true, k.w.loop.Elapsed()
		k.w.ends()
	}
}

// answers reads every answer that was accepted, and the evidence for it.
func (k *work) answers(p *process, c *collect.Collector) error {
	var numbers []uint64
	wrong := map[uint64]bool{}
	err := c.Each(p.ctx, collect.Which{Provisional: true}, func(a collect.Answer, out io.Reader) error {
		got, err := io.ReadAll(out)
		if err != nil {
			return err
		}
		if !a.Open {
			numbers = append(numbers, a.Number)
		}
		if k.w.opt.Defect == Misdeliver {
			got = append(got, '!')
		}
		k.gave[a.Number] = jobs.BlobOf(got).Digest
		if !k.counted {
			k.w.report.Accepted++
		}
		if !k.dice && !bytes.Equal(got, oracle(k.job.Head.Program.Digest, fmt.Append(nil, a.Number))) {
			wrong[a.Number] = true
			if !k.counted {
				k.w.report.Wrong++
				k.w.tell("%s accepts a wrong answer to input %d", p.name, a.Number)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	k.counted = true
	if len(numbers) != k.units || !slices.IsSorted(numbers) || len(slices.Compact(numbers)) != k.units {
		k.w.broke("I6", "%s has the answers %v of %d units, in a job that is complete", p.name, numbers, k.units)
	}
	return k.prove(p.ctx, c, wrong)
}

// prove has the evidence checked, as a stranger would.
func (k *work) prove(ctx context.Context, c *collect.Collector, wrong map[uint64]bool) error {
	var file bytes.Buffer
	if err := c.Evidence(ctx, &file); err != nil {
		return err
	}
	r, err := evidence.Check(&file, evidence.Options{
		Submitter: k.at.ID(), Verify: k.w.verify,
		Unit: func(u *evidence.Unit) error { k.judged(u, wrong[u.First]); return nil },
	})
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		k.w.broke("I1", "%s cannot prove its answers: %s", k.at.name, f)
	}
	k.w.step("evidence", fmt.Append(nil, r.Proved, r.Late, r.Votes))
	k.w.tell("%s has all %d answers, each proved; %d wrong", k.at.name, r.Proved, len(wrong))
	k.credited(c)
	return nil
}
