package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/jobs/submit"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// scene is what is known around a job: all that a reason is taken from.
type scene struct {
	self    jobs.NodeID
	job     *api.Job
	memory  uint64 // that the job asks for
	trust   []jobs.NodeID
	running bool // a node runs here
	here    bool // it works on the job
	lends   bool // its owner donates
	paused  string
	aside   string
	peers   int
	others  map[jobs.NodeID]protocol.HelloAnswer // what connected nodes say they do
	posted  bool                                 // its shards were placed on other nodes once
	before  int                                  // open jobs of this home's that were posted before it
	placing string                               // why not all keepers have it
	reading error                                // why the last look at its keepers failed
}

// Explain says why a job is where it is.
func (n *Node) Explain(ctx context.Context, ref string) (*api.Explanation, error) {
	j, err := n.Job(ctx, ref)
	if err != nil {
		return nil, err
	}
	job, err := n.resolve(ctx, j.Job)
	if err != nil {
		return nil, err
	}
	n.net.greet(ctx)
	p := n.follow(job).Progress(time.Now())
	return &api.Explanation{Job: *j, Reasons: n.scene(job, j, p.Error).reasons()}, nil
}

// scene looks around a job.
func (n *Node) scene(job *jobs.Job, reading *api.Job, failed error) *scene {
	s := &scene{
		self: n.self, job: reading, memory: job.Head.Limits.Memory, running: n.isRunning(), posted: true, reading: failed,
		peers: len(n.net.peers()), others: n.net.all(), aside: n.worker.Aside(job.ID),
	}
	if job.Head.Policy.Level == jobs.Trusted {
		s.trust = append([]jobs.NodeID{job.Head.Submitter}, job.Head.Policy.Trust...)
	}
	if reading.Own {
		if own, _, err := n.submitter.Own(job.ID); err == nil {
			s.posted = own.Posted
		}
		s.before = n.openBefore(job)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s.lends = n.donate.on
	s.here = n.runHere[job.ID] || reading.Own && n.taking()
	if n.donate.on && n.lending.decision.Paused {
		s.paused = n.lending.decision.Main()
	}
	s.placing = n.held[job.ID].Why
	return s
}

// openBefore is how many jobs of this home's were made before one, are on the grid, and not over.
func (n *Node) openBefore(job *jobs.Job) (before int) {
	err := n.submitter.All(func(o *submit.Own, j *jobs.Job) error {
		if o.Posted && o.Open(j, time.Now().Unix()) && j.Head.Created < job.Head.Created {
			before++
		}
		return nil
	})
	if err != nil {
		n.log.Debug("this home's jobs cannot be counted", "error", err)
	}
	return before
}

// reasons are all there are, the weightiest first.
func (s *scene) reasons() []api.Reason {
	all := s.why()
	if d, ok := s.degraded(); ok {
		all = append(all, d)
	}
	return all
}

// why is where the job stands, and what stands in its way.
func (s *scene) why() (all []api.Reason) {
	if r, over := s.ended(); over {
		return []api.Reason{r}
	}
	for _, look := range []func() (api.Reason, bool){s.noNode, s.apart, s.alone, s.nobody, s.small, s.unplaced, s.turn, s.unasked, s.setAside, s.disputed, s.partner, s.unfinished} {
		if r, ok := look(); ok {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		all = append(all, s.working())
	}
	return all
}

// why is a reason.
func why(code, try, what string, args ...any) (api.Reason, bool) {
	return api.Reason{Code: code, What: fmt.Sprintf(what, args...), Try: try}, true
}

// ended is how a job stands in which nothing will move by itself.
func (s *scene) ended() (api.Reason, bool) {
	j, id := s.job, s.job.Job[:8]
	switch {
	case j.State == api.JobDone && j.Inputs.Failed > 0:
		return why(api.WhyDone, "read what they wrote to stderr: shoal logs "+id, "it is done: %d of %d inputs failed, the same on every machine", j.Inputs.Failed, j.Inputs.Total)
	case j.State == api.JobDone:
		return why(api.WhyDone, "take the answers: shoal results "+id, "it is done")
	case j.State == api.JobCancelled:
		return why(api.WhyCancelled, "take what was done: shoal results "+id, "its submitter cancelled it")
	case j.State == api.JobExpired:
		return why(api.WhyExpired, "submit it again with a later --expires: what is done here is not lost", "it expired before it was done")
	case j.State == api.JobFailed && j.Units.Stuck > 0:
		return why(api.WhyStuck, "submit it with more --time or --memory", "donors gave up on %s: too slow or too large for their machines", words.Count(j.Units.Stuck, "unit"))
	}
	return api.Reason{}, false
}

func (s *scene) noNode() (api.Reason, bool) {
	if s.running {
		return api.Reason{}, false
	}
	return why(api.WhyNoNode, "start one here: shoal up", "no node runs here: this is what its home knows; the grid may be further")
}

// apart is a job that stays here, where nobody works on it.
func (s *scene) apart() (api.Reason, bool) {
	if !s.running || !s.job.Local || s.here {
		return api.Reason{}, false
	}
	if s.paused != "" {
		return why(api.WhyPaused, "shoal resume, or donate now: shoal donate --when always", "it may not leave this machine, where donating is paused: %s", s.paused)
	}
	return why(api.WhyLocal, "work on it here: shoal donate, or the same command with run", "it may not leave this machine, and nobody works on it here")
}

// alone is a node that sees no other.
func (s *scene) alone() (api.Reason, bool) {
	if !s.running || s.job.Local || s.peers > 0 || s.here {
		return api.Reason{}, false
	}
	return why(api.WhyNoPeers, "join the grid by a node that is on: shoal up --bootstrap ADDR (shoal id prints it there)", "needs %s, 0 known: no other node in sight", words.Count(s.job.Votes, "more donor"))
}

// turn is a job that others of its submitter keep off the boards of donors.
func (s *scene) turn() (api.Reason, bool) {
	if !s.running || s.job.Local || s.before < scheduler.MaxPerSubmitter || s.job.Inputs.Done > 0 {
		return api.Reason{}, false
	}
	return why(api.WhyTurn, "wait for one of them to end, or cancel one; shoal status lists them", "%d jobs of yours are open already: donors take up %d of one submitter at a time", s.before, scheduler.MaxPerSubmitter)
}

func (s *scene) unplaced() (api.Reason, bool) {
	j := s.job
	because := ""
	if s.placing != "" {
		because = ": " + s.placing
	}
	switch {
	case !s.running || j.Local || !j.Own || s.peers == 0:
	case s.here && !s.posted:
		// It runs here, and is offered when it takes longer.
	case !s.posted && j.Held == 0:
		return why(api.WhyNotPublished, "leave this node on; it goes on trying", "no other node holds it yet%s", because)
	case j.Held < j.Keepers:
		return why(api.WhyCopying, "leave this node on until all hold it", "held by %d of %d, still copying%s", j.Held, j.Keepers, because)
	}
	return api.Reason{}, false
}

func (s *scene) unasked() (api.Reason, bool) {
	switch {
	case !s.running || s.reading == nil:
		return api.Reason{}, false
	case errors.Is(s.reading, collect.ErrNoBytes):
		return why(api.WhyData, "wait: after 10 min another donor makes them again", "answers are agreed, but nobody in sight has their bytes")
	}
	return why(api.WhyKeepers, "look who is there: shoal peers", "its keepers cannot be asked: %v", s.reading)
}

// fit are the nodes that could vote on the job at all, and of them those that work now.
func (s *scene) fit() (lend, work int) {
	for id, h := range s.others {
		if s.trust != nil && !slices.Contains(s.trust, id) {
			continue
		}
		if h.Lends || h.Donating {
			lend++
		}
		if h.Donating {
			work++
		}
	}
	if !s.job.Own && s.lends && (s.trust == nil || slices.Contains(s.trust, s.self)) { // a submitter's own node has no vote among donors'
		lend++
		if s.paused == "" {
			work++
		}
	}
	return lend, work
}

// nobody is too few donors for the votes that the job asks.
func (s *scene) nobody() (api.Reason, bool) {
	j := s.job
	if !s.running || j.Local || s.here || s.peers == 0 {
		return api.Reason{}, false
	}
	lend, work := s.fit()
	switch {
	case s.trust != nil && work > 0, s.trust == nil && work >= j.Votes:
		return api.Reason{}, false
	case s.trust != nil && lend == 0:
		return why(api.WhyUntrusted, "ask one of them to start: shoal donate", "needs a donor that it trusts, none is seen")
	case s.trust != nil:
		return why(api.WhyPaused, "wait, or ask its owner: shoal resume", "the donors that it trusts are paused")
	case lend >= j.Votes:
		return why(api.WhyPaused, "wait until their owners need them less, or donate here", "needs %s; %s known, %d of them paused", words.Count(j.Votes, "donor"), words.Count(lend, "donor"), lend-work)
	case s.paused != "" && !j.Own:
		return why(api.WhyPaused, "shoal resume, or: shoal donate --when always", "needs %s, %d known; donating here is paused: %s", words.Count(j.Votes-work, "more donor"), work, s.paused)
	}
	try := "start one on another machine: shoal donate"
	if j.Own && !s.lends {
		try = "let this machine work on it: shoal donate (its own word is enough for its own job)"
	}
	return why(api.WhyNoDonors, try, "needs %s, %d known", words.Count(j.Votes-work, "more donor"), work)
}

// small is donors that lend less memory than the job asks for.
func (s *scene) small() (api.Reason, bool) {
	most, known := uint64(0), 0
	for _, h := range s.others {
		if h.Donating && h.Memory > 0 {
			known, most = known+1, max(most, h.Memory)
		}
	}
	if !s.running || s.job.Local || s.here || known == 0 || most >= s.memory {
		return api.Reason{}, false
	}
	return why(api.WhyMemory, "submit it with less: --memory "+sizeWords(most), "asks for %s of memory, the donors in sight lend %s at most", sizeWords(s.memory), sizeWords(most))
}

func (s *scene) setAside() (api.Reason, bool) {
	if s.aside == "" || !s.here {
		return api.Reason{}, false
	}
	return why(api.WhyAside, "see what the program does: shoal check PROGRAM", "set aside on this machine: %s", s.aside)
}

func (s *scene) disputed() (api.Reason, bool) {
	n := s.job.Units.Disputed
	if n == 0 {
		return api.Reason{}, false
	}
	try := "see what differs: shoal check PROGRAM runs it twice"
	if s.job.Own && !s.here {
		try = "let this machine decide, by running them: shoal donate"
	}
	return why(api.WhyDisputed, try, "%s disputed: donors do not agree", words.Count(n, "unit"))
}

// partner is units that have one word of the two or more they need, while nobody gives another.
func (s *scene) partner() (api.Reason, bool) {
	u := s.job.Units
	if !s.running || s.here || s.job.Votes < 2 || u.Sealed == 0 || u.Running+u.Open > 0 {
		return api.Reason{}, false
	}
	return why(api.WhyPartner, "nothing: it comes when a donor that has not run them yet is free", "%s waiting for another donor's word", words.Count(u.Sealed, "unit"))
}

// unfinished is answers that are agreed, and that their submitter has still to check.
func (s *scene) unfinished() (api.Reason, bool) {
	j := s.job
	if j.Provisional == 0 || j.Final || j.Units.Open+j.Units.Running+j.Units.Sealed > 0 {
		return api.Reason{}, false
	}
	if !j.Own {
		return why(api.WhyAudit, "wait: only its submitter can", "%s agreed, not final: its submitter has still to check some of them", words.Count(j.Provisional, "unit"))
	}
	return why(api.WhyAudit, "leave this node on: it runs some of them itself", "%s agreed, not final until this node has checked enough of them", words.Count(j.Provisional, "unit"))
}

// degraded is a job in which donors lied together so often that its votes for looking again are
// spent: its answers are worth less than its level promises.
func (s *scene) degraded() (api.Reason, bool) {
	if !s.job.Degraded {
		return api.Reason{}, false
	}
	return why(api.WhyDegraded, "for answers that must not be wrong: submit it again with --verify paranoid, or run --local", "degraded: donors lied together about %s, and the votes for looking again at all others are spent: from now on only what leans on a known liar is looked at again", words.Count(s.job.Rings, "unit"))
}

// working is a job that has nothing in its way.
func (s *scene) working() api.Reason {
	j := s.job
	try := "follow it: shoal watch " + j.Job[:8]
	switch u := j.Units; {
	case u.Running > 0:
		r, _ := why(api.WhyWorking, try, "nothing is in its way: %s running, %d done, %d still to begin", words.Count(u.Running, "unit"), u.Agreed+u.Failed, u.Open)
		return r
	case u.Open > 0:
		r, _ := why(api.WhyWorking, try, "nothing is in its way: %s to begin, donors take it when they have room", words.Count(u.Open, "unit"))
		return r
	}
	r, _ := why(api.WhyWorking, try, "nothing is in its way: its last answers are on their way here")
	return r
}

// waits is what stands in a job's way, in words; "" when nothing does.
func (n *Node) waits(job *jobs.Job, p *collect.Progress, reading *api.Job) string {
	for _, r := range n.scene(job, reading, p.Error).why() {
		if r.Code != api.WhyWorking && r.Code != api.WhyCopying { // copying keeps nobody from working
			return r.What
		}
	}
	return ""
}

// sizeWords is a size as people and flags have it.
func sizeWords(bytes uint64) string {
	if bytes >= 1<<30 && bytes%(1<<30) == 0 {
		return fmt.Sprintf("%dGiB", bytes>>30)
	}
	return fmt.Sprintf("%dMiB", bytes>>20)
}
