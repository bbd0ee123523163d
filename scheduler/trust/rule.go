package trust

import (
	"math"
	"slices"

	"github.com/shoalgrid/shoal/jobs"
)

// Vote is one counted result of a unit, as far as acceptance cares.
type Vote struct {
	Worker  jobs.NodeID
	Answer  jobs.Digest // of its tuples
	Network string      // where its keepers saw it; empty for a private address
	Late    bool        // it is not independent of the first round
	Own     bool        // by the submitter's own machine
}

// Step is what a unit's votes call for.
type Step uint8

// The steps of a unit.
const (
	Wait   Step = iota // the first round is not in
	More               // ask for more votes
	Run                // the submitter runs it itself
	Accept             // the answer stands, until something it leans on falls
)

var stepNames = [...]string{"wait", "more", "run", "accept"}

// String is the step's name.
func (s Step) String() string { return stepNames[s] }

// Decision is what to do about a unit.
type Decision struct {
	Step   Step
	Answer jobs.Digest // with Accept
	Votes  int         // that count for the answer
	More   int         // votes to ask for, beside those that there are
	Late   bool        // the answer stands by late votes only
	Own    bool        // the answer is the submitter's own
}

// Rule is a level's rule.
type Rule struct {
	First     int    // votes of the first round
	Need      Weight // what an answer must weigh; 0: nothing but its votes
	Unanimous bool   // one other answer, whoever gave it and when, and the submitter runs the unit
	Networks  bool   // every voter is from another network
}

// OneInAMillion is what an answer of strong must weigh: log2(999,999) bits.
const OneInAMillion Weight = 19932

// RuleOf is the rule of a level with the first round that the job's policy names.
func RuleOf(p jobs.Policy) Rule {
	switch p.Level {
	case jobs.Strong:
		return Rule{First: int(p.Votes), Need: OneInAMillion}
	case jobs.Paranoid:
		return Rule{First: jobs.ParanoidVotes, Unanimous: true, Networks: true}
	}
	return Rule{First: int(p.Votes)}
}

// side is an answer with those that gave it.
type side struct {
	answer   jobs.Digest
	votes    int
	weight   Weight
	sound    Weight // without late votes
	punctual int
	proven   bool
}

// Decide judges a unit's votes by what is known of their authors. The order of votes does not
// matter. extra is how many voters more than the rule's least the answer needs: an audit.
func (r Rule) Decide(votes []Vote, b *Book, extra int) Decision {
	for _, v := range votes {
		if v.Own {
			return Decision{Step: Accept, Answer: v.Answer, Votes: 1, Own: true}
		}
	}
	if r.Unanimous && dissent(votes) {
		return Decision{Step: Run}
	}
	var room [jobs.MaxVotes]side
	sides, heard := r.sides(votes, b, room[:0])
	if len(sides) == 0 {
		return r.ask(len(votes), heard, r.First+extra)
	}
	top := &sides[0]
	switch {
	case disputed(sides):
		return Decision{Step: Run}
	case top.votes >= r.First+extra && top.weight-against(sides) >= r.Need:
		late := top.punctual < r.First || top.sound-against(sides) < r.Need
		return Decision{Step: Accept, Answer: top.answer, Votes: top.votes, Late: late}
	}
	return r.ask(len(votes), heard, max(r.First+extra-top.votes, r.missing(top.weight-against(sides)))+heard)
}

// dissent reports whether votes differ. What may be a copy proves nothing for an answer, nor does the
// word of one who has lied, but as dissent both count: who reads the evidence knows no book.
func dissent(votes []Vote) bool {
	return slices.ContainsFunc(votes, func(v Vote) bool { return v.Answer != votes[0].Answer })
}

// ask asks for as many votes more as can decide the unit, as far as a unit has room for them.
func (r Rule) ask(votes, heard, wanted int) Decision {
	switch more := min(wanted-heard, jobs.MaxVotes-votes); {
	case votes < r.First:
		return Decision{Step: Wait, More: r.First - votes}
	case more <= 0:
		return Decision{Step: Run}
	default:
		return Decision{Step: More, More: more}
	}
}

// missing is how many votes of proven donors at their least would make up what is missing.
func (r Rule) missing(weight Weight) int {
	each := Donor{Accepted: provenAfter}.Weight()
	return max(1, int((r.Need-weight+each-1)/each))
}

// disputed reports whether proven donors give different answers. That is not for votes to decide.
func disputed(sides []side) bool {
	proven := 0
	for i := range sides {
		if sides[i].proven {
			proven++
		}
	}
	return proven > 1
}

// against is what the other answers, and none being right, take from the first one's weight.
func against(sides []side) Weight {
	odds := 1.0
	for i := len(sides) - 1; i > 0; i-- { // from the lightest: the sum is the same for any order of votes
		odds += math.Exp2(float64(sides[i].weight) / 1000)
	}
	return Weight(math.Round(1000 * math.Log2(odds)))
}

// sides groups the votes that count by their answer, the weightiest first. In one network one
// voter counts for an answer, the least trusted.
func (r Rule) sides(votes []Vote, b *Book, out []side) (sides []side, heard int) {
	for i := range votes {
		v := &votes[i]
		d := b.Get(v.Worker)
		if !d.Heard() || v.Late && !d.Proven() && r.Need > 0 || r.Networks && (v.Late || v.Network == "") || shadowed(votes, i, b) {
			continue
		}
		heard++
		k := slices.IndexFunc(out, func(s side) bool { return s.answer == v.Answer })
		if k < 0 {
			k = len(out)
			out = append(out, side{answer: v.Answer})
		}
		s, w := &out[k], d.Weight()
		s.votes++
		s.weight += w
		s.proven = s.proven || d.Proven()
		if !v.Late {
			s.punctual++
			s.sound += w
		}
	}
	slices.SortFunc(out, func(x, y side) int {
		if x.weight != y.weight {
			return int(y.weight - x.weight)
		}
		return slices.Compare(x.answer[:], y.answer[:])
	})
	return out, heard
}

// shadowed reports whether another vote from the same network for the same answer counts in a
// vote's place.
func shadowed(votes []Vote, i int, b *Book) bool {
	v := &votes[i]
	if v.Network == "" {
		return false
	}
	mine := b.Get(v.Worker)
	for k := range votes {
		o := &votes[k]
		if k == i || o.Network != v.Network || o.Answer != v.Answer {
			continue
		}
		other := b.Get(o.Worker)
		if !other.Heard() || o.Late && !other.Proven() {
			continue
		}
		if other.Accepted < mine.Accepted || other.Accepted == mine.Accepted && compareNodes(o.Worker, v.Worker) < 0 {
			return true
		}
	}
	return false
}
