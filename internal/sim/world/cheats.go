package world

import (
	"bytes"
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// cheat is what makes a submitter Byzantine. Nobody promises it anything; what it does must harm
// nobody else's job, no honest worker's standing, and nobody's machine.
type cheat struct {
	kind   vice
	bomb   bomb
	raw    []byte // the manifest
	from   int64  // its first input
	rounds int    // of mischief so far
	twin   *work  // another job of the same node, over another manifest
}

// bomb is how a cheat's program goes off.
type bomb uint8

const (
	noBomb bomb = iota
	dud         // it cannot be started
	crash       // it takes its guest down
	mine        // it never ends
	trap        // it fails, in the same way everywhere
	bombs
)

// maxRounds bounds what one cheat does.
const maxRounds = 12

// cheat adds a submitter that is one, with a job or two of its own.
func (w *world) cheat() {
	n := w.add("x0", role{submits: true})
	n.lie = &liar{n: n, kind: altering + vice(w.draw(int(vices-altering)))}
	if v, ok := w.asked(altering, vices); ok {
		n.lie.kind = v
	}
	w.tell("%s is a submitter that cheats: %s", n.name, viceNames[n.lie.kind])
	k := w.cheats(n, 0)
	if n.lie.kind == altering {
		k.cheat.twin = w.cheats(n, 1000)
	}
	w.loop.At(w.between(0, w.fate.arrive)+w.fate.arrive, n.start)
}

// cheats adds a job of a cheat. It is complete from the beginning: nobody waits for it.
func (w *world) cheats(at *node, from int64) *work {
	k := &work{
		w: w, at: at, units: 1 + w.draw(5), votes: votesOf(w.level()), takes: w.between(500*time.Millisecond, w.fate.unitTime), complete: true,
		accepted: map[uint64][32]byte{}, gave: map[uint64]jobs.Digest{}, cheat: &cheat{kind: at.lie.kind, from: from},
	}
	if k.cheat.kind == bombing {
		k.cheat.bomb = 1 + bomb(w.draw(int(bombs-1)))
	}
	w.works = append(w.works, k)
	return k
}

// mislead is what a cheat's node does about a job, from the head to the last of its mischief.
func (k *work) mislead(p *process) {
	for k.job == nil && k.sign(p) != nil {
		if strand.Sleep(p.ctx, p.m, publishAgain) != nil {
			return
		}
	}
	if k.cheat.kind == spamming {
		k.spam(p)
		return
	}
	p.board.add(k.job)
	k.w.gossip(p.node, k.job)
	for k.cheat.rounds < maxRounds {
		set, err := p.client.Keepers(p.ctx, protocol.ShardRef{Job: k.job.ID})
		if err == nil {
			k.cheat.rounds++
			k.harm(p, set)
		}
		if strand.Sleep(p.ctx, p.m, k.w.between(time.Second, time.Minute)) != nil {
			return
		}
	}
}

// harm is one round of it.
func (k *work) harm(p *process, set []jobs.NodeID) {
	first := k.cheat.rounds == 1
	if first || k.cheat.rounds%4 == 0 {
		k.place(p, set)
	}
	k.w.commits(k.cheat.kind)
	switch k.cheat.kind {
	case altering:
		k.alter(p, set)
	case twicing:
		k.drawTwice(p, set)
	case unending:
		k.w.tell("%s goes and is never seen again", p.name)
		p.node.gone = true
		p.node.kill()
		p.m.Check()
	case contrary:
		k.contradict(p, set)
	case insatiable:
		k.ask(p, set)
	case misjudging:
		k.misjudge(p, set)
	}
}

// sign makes the job, which nobody's disk has but whoever keeps it.
func (k *work) sign(p *process) error {
	program, err := p.view().Put(bytes.NewReader(fmt.Appendf(nil, "program of %s", p.name)), 1<<20)
	if err != nil {
		return err
	}
	k.job, k.cheat.raw, err = k.head(p, program, 0)
	if err == nil {
		k.w.step("job", k.job.ID[:])
	}
	return err
}

// head makes a head and its manifest; its number tells heads of one cheat apart.
func (k *work) head(p *process, program jobs.Blob, number byte) (job *jobs.Job, manifest []byte, err error) {
	w, now := k.w, p.m.Date()
	h := jobs.Head{
		Version: jobs.HeadVersion, Network: network, Submitter: p.ID(), Nonce: [16]byte{number}, Created: now, Expires: now + 14*24*3600,
		Program: program, Policy: k.policy(), UnitTime: uint32(k.takes / time.Millisecond),
		Limits: jobs.Limits{Memory: 1 << 20, Output: 1 << 20, CPU: uint64(10 * time.Minute / time.Millisecond)},
	}
	if k.cheat.kind == brief {
		h.Expires = now + 30 + int64(w.draw(600))
		h.Policy.Lease = uint32(jobs.MinLease / time.Second)
		h.UnitTime = uint32(w.draw(2)) // as many as one wants may be held at once
	}
	split := jobs.Splitter{PerUnit: 1, PutManifest: func(_ uint32, m []byte) error { manifest = m; return nil }}
	if err := split.AddRange(k.cheat.from, k.cheat.from+int64(k.units)-1); err != nil {
		return nil, nil, err
	}
	if _, err := split.Finish(&h); err != nil {
		return nil, nil, err
	}
	job, err = jobs.SignHead(h, p.node)
	return job, manifest, err
}

// place has the job kept, and says by whom.
func (k *work) place(p *process, set []jobs.NodeID) {
	ref := protocol.ShardRef{Job: k.job.ID}
	placed := &jobs.Placement{}
	var rs []*jobs.Record
	for _, at := range set {
		q := &protocol.PublishRequest{Head: k.job.Bytes(), Manifest: k.cheat.raw, Wait: 4000}
		if r, err := p.client.Publish(p.ctx, at, ref, q); err == nil && r != nil {
			placed.Keepers, placed.Receipts, rs = append(placed.Keepers, at), append(placed.Receipts, r.ID), append(rs, r)
		}
	}
	k.tell(p, set, rs, placed)
}

// tell signs something about the job and offers it, with some records, to some of its keepers.
func (k *work) tell(p *process, to []jobs.NodeID, with []*jobs.Record, bodies ...any) {
	ref := protocol.ShardRef{Job: k.job.ID}
	rs, err := jobs.SignBatch(p.node, network, ref.Job, ref.Shard, bodies...)
	if err != nil {
		return
	}
	for _, at := range to {
		p.offersTo(p.ctx, at, &protocol.OfferRequest{Shard: ref, Batches: jobs.Batches(append(rs, with...))})
	}
}

// alter asks keepers to keep another manifest under the head that they have: who does breaks I17.
func (k *work) alter(p *process, set []jobs.NodeID) {
	other := k.cheat.twin
	if other == nil || other.job == nil {
		return
	}
	for _, at := range set {
		q := &protocol.PublishRequest{Head: k.job.Bytes(), Manifest: other.cheat.raw, Wait: 1000}
		r, err := p.client.Publish(p.ctx, at, protocol.ShardRef{Job: k.job.ID}, q)
		if n := k.w.byID[at]; err == nil && r != nil && n.honest() {
			k.w.broke("I17", "%s keeps inputs that its job was not signed with", n.name)
		}
	}
}

// drawTwice draws two secrets for the same units, and tells half of the keepers the one; and places the
// shard on nobody, or on whom it likes.
func (k *work) drawTwice(p *process, set []jobs.NodeID) {
	half := len(set) / 2
	a, b := &jobs.Draw{Secret: p.m.Secret()}, &jobs.Draw{Secret: p.m.Secret()}
	mine := &jobs.Placement{Keepers: []jobs.NodeID{p.ID(), p.m.Secret()}}
	k.tell(p, set[:half], nil, a, mine)
	k.tell(p, set[half:], nil, b, &jobs.Placement{Keepers: set[half:]})
}

// contradict says of one job to one keeper this and to the next that, all under one number.
func (k *work) contradict(p *process, set []jobs.NodeID) {
	acts := []jobs.Act{jobs.ActExtend, jobs.ActCollected, jobs.ActCancel}
	for i, at := range set {
		c := &jobs.Control{Number: uint32(k.cheat.rounds), Act: acts[(i+k.w.draw(2))%len(acts)], Expires: p.m.Date() + int64(k.w.draw(1<<24))}
		rs, err := jobs.SignBatch(p.node, network, k.job.ID, jobs.WholeJob, c)
		if err == nil {
			p.offersTo(p.ctx, at, &protocol.OfferRequest{Shard: protocol.ShardRef{Job: k.job.ID}, Batches: jobs.Batches(rs)})
		}
	}
}

// ask wants more votes for every unit, or its own runs, which never come; and from whom it likes.
func (k *work) ask(p *process, set []jobs.NodeID) {
	w := k.w
	a := &jobs.Ask{}
	for n := range k.units {
		a.Units = append(a.Units, jobs.UnitAsk{Unit: uint16(n), Votes: uint8(1 + w.draw(10))})
	}
	for range w.draw(jobs.MaxVoters) {
		a.Voters = append(a.Voters, p.m.Secret())
	}
	if w.draw(2) == 0 {
		a.Voters = append(a.Voters, w.nodes[w.draw(len(w.nodes))].ID())
	}
	k.tell(p, set[w.draw(len(set)):], nil, a)
}

// misjudge says of all units that they are final, to each keeper with other answers.
func (k *work) misjudge(p *process, set []jobs.NodeID) {
	for i := range set {
		f := &jobs.Final{}
		for range k.units {
			f.Answers = append(f.Answers, p.m.Secret())
		}
		k.tell(p, set[i:i+1], nil, f)
	}
}

// spamHeads is how many jobs one submitter puts on the board that is to take 16.
const spamHeads = 24

// spam puts jobs on the board that nobody keeps.
func (k *work) spam(p *process) {
	for i := range spamHeads {
		k.w.commits(spamming)
		if job, _, err := k.head(p, k.job.Head.Program, byte(1+i)); err == nil {
			k.w.gossip(p.node, job)
		}
	}
}

// manifest is that of a cheat's job.
func (k *work) manifest() *jobs.Manifest {
	m, err := jobs.OpenManifest(&k.job.Head, 0, k.cheat.raw, nil)
	if err != nil {
		return nil
	}
	return m
}

// first is the number that a job's first input is.
func (k *work) first() int64 {
	if k.cheat == nil {
		return 0
	}
	return k.cheat.from
}
