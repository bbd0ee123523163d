package world

import (
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Invariants is what every run is held against: name and promise. The last column says where it
// is looked at: at every such event, or when all has healed.
func Invariants() [][3]string {
	return [][3]string{
		{"I1", "an accepted answer has the votes its policy asks, of distinct granted workers, provable to a stranger", "evidence"},
		{"I2", "without a lying worker every accepted answer is the program's", "evidence"},
		{"I3", "all who voted for an accepted wrong answer are liars", "evidence"},
		{"I4", "what was accepted for good never changes", "write"},
		{"I5", "the submitter's disk always has all of its job", "write, crash, end"},
		{"I6", "in the end every unit has exactly one answer", "complete"},
		{"I7", "every execution beyond the votes needed has a cause", "execution"},
		{"I8", "a keeper never grants a replica that it has just granted to another", "claim"},
		{"I9", "no worker starts under a lease that it has let run out", "execution"},
		{"I10", "what a keeper knows of a shard only grows, while it keeps it", "write, summary"},
		{"I11", "what a keeper acknowledged is on its disk", "offer"},
		{"I12", "no honest node says two things about one unit, whatever it went through", "message"},
		{"I13", "no evidence convicts an honest node; what contradicts itself convicts", "end"},
		{"I14", "nobody is shown a result before its round is sealed or its unit is decided", "message, read, evidence"},
		{"I15", "any order of the same records gives the same state", "end"},
		{"I16", "the keepers of a shard come to hold the same records", "healed"},
		{"I17", "the program and the inputs that run are those of the job", "execution"},
		{"I18", "two honest runs of a deterministic program agree", "end"},
		{"I19", "the accepted answers follow from the records alone, without any clock", "end"},
		{"I20", "nobody gets credit, or a submitter's trust, for what it did not run: who only copies gets none at all", "complete"},
		{"I21", "no worker holds more at a keeper than one may", "claim"},
		{"I22", "messages and work for others are bounded", "request, answer"},
		{"I23", "a message that comes again changes nothing", "offer"},
		{"I24", "every job ends once nothing goes wrong any more", "end"},
		{"I25", "a node that was killed anywhere starts again by itself", "start"},
	}
}

// maxStrands bounds what an honest node is busy with, in worlds of this size.
const maxStrands = 4000

// answered looks at what an honest keeper answers.
func (s *witness) answered(a *asking, answer []byte) {
	if a == nil || len(answer) == 0 || answer[0] != 0 {
		return
	}
	switch a.verb {
	case protocol.Offer:
		s.acknowledged(a, answer)
	case protocol.Claim:
		s.grantsSeen(a, answer)
	case protocol.Renew:
		s.renewedSeen(a, answer)
	case protocol.Read:
		s.showed(a, answer)
	case protocol.Summary:
		var q protocol.SummaryRequest
		var r protocol.SummaryAnswer
		if protocol.DecodeRequest(a.body, &q) == nil && protocol.DecodeAnswer(answer, &r) == nil {
			s.summed(a.p, q.Shard, r.Summary)
		}
	}
}

// judge holds what is looked at when all is over.
func (w *world) judge() {
	if w.report.Breaks(w.opt.Until) {
		return // it is not over, it was ended
	}
	for _, k := range w.works {
		if len(w.report.Broken) >= maxBreaches {
			return
		}
		if k.job != nil && k.cheat == nil {
			w.whole(k)
		}
		switch {
		case !k.complete:
			w.contradictions(k)
			w.broke("I24", "%s's job is not done %s after all healed: %d of %d units%s", k.at.name, w.opt.Limit, len(k.accepted), k.units, w.missing(k))
		case k.job != nil:
			w.merges(k)
		}
	}
	w.agreeing()
	w.standing()
}

// posted holds I22 of a board: of one submitter it has so many jobs, and no more.
func (s *witness) posted(b *board, j *jobs.Job) {
	if !b.p.honest() || j.Head.Submitter == b.p.ID() {
		return
	}
	n := 0
	for _, o := range b.jobs.Jobs() {
		if o.Head.Submitter == j.Head.Submitter {
			n++
		}
	}
	if n > scheduler.MaxPerSubmitter {
		s.w.broke("I22", "%s has %d jobs of one submitter on its board", b.p.name, n)
	}
}
