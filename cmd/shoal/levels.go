package main

import (
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// pledge is what a level promises, against whom, what it cannot, and what it is worth to a
// submitter that leaves after publishing. The figures are measured (RATIONALE, "Why are strong's
// votes asked for one after the other?").
type pledge struct {
	Promises   string `json:"promises"`
	Against    string `json:"against"`
	Cannot     string `json:"cannot"`
	IfYouLeave string `json:"if_you_leave"`
}

func pledgeOf(l api.Level) pledge {
	switch l.Level {
	case "trusted":
		return pledge{
			Promises:   "the word of one peer that you name, or of this node",
			Against:    "everybody else: nobody's vote counts but theirs",
			Cannot:     "find a peer of yours that lies, or whose hardware fails: nobody looks again",
			IfYouLeave: "nothing changes: answers are final without you",
		}
	case "standard":
		return pledge{
			Promises:   "two donors gave the answer and neither could see the other's; final at once, never taken back",
			Against:    "hardware that fails, and liars who do not work together",
			Cannot:     "stop liars who do: a hostile share f of the work gets about f² of all units wrong, 1 in 100 of 10 %" + unevenly(l),
			IfYouLeave: "answers are final without you" + noFreshLots(l),
		}
	case "strong":
		return pledge{
			Promises:   "each answer's error is below 1 in a million, by your own record of each donor; two votes at least",
			Against:    "hardware that fails; liars alone or together, under new names too; donors that betray once they are trusted",
			Cannot:     "stop a patient cartel: of 10 % it gets 0 to 3 answers of a job wrong before it is found, of 30 % 2 to 7, however large the job" + unevenly(l),
			IfYouLeave: "nothing is final until this node is back and has judged; by then a cartel of 10 % has 0 to 8 answers of a job wrong, of 30 % 0 to 13" + noFreshLots(l),
		}
	}
	return pledge{
		Promises:   "seven donors in seven networks gave the answer and none could see another's",
		Against:    "hardware that fails, and a cartel of 10 %: it has 1 unit in 10 million",
		Cannot:     "stop a cartel of 30 %: it has about 2 units in 10,000; nor see who owns seven networks",
		IfYouLeave: "nothing is final until this node is back and has judged" + noFreshLots(l),
	}
}

// unevenly says what a small grid cannot give: shares of the work that nobody can enlarge.
func unevenly(l api.Level) string {
	if l.ByLot {
		return ""
	}
	return "; below 50 donors work is not given by lot, and who is always idle gets more of it"
}

// noFreshLots says what a crowd loses with its submitter.
func noFreshLots(l api.Level) string {
	if !l.ByLot {
		return ""
	}
	return "; nobody draws fresh lots then, so who will vote can be known long before"
}

// levels says of each level what it costs here, what it promises and what it does not.
func (u *ui) levels(list []api.Level) {
	for _, l := range list {
		p := pledgeOf(l)
		u.say("%s", levelLine(l))
		u.say("    promises    %s", p.Promises)
		u.say("    against     %s", p.Against)
		u.say("    cannot      %s", p.Cannot)
		u.ifYouGo(l)
	}
}

// ifYouGo says what a level is worth to a submitter that leaves after publishing.
func (u *ui) ifYouGo(l api.Level) {
	u.say("    if you go   %.2f executions an answer come in; %s", l.AwayExecutions, pledgeOf(l).IfYouLeave)
}

// chosenLevel says what the level of a job that was just submitted is worth, and what another
// would cost.
func (u *ui) chosenLevel(list []api.Level) {
	var others []string
	for _, l := range list {
		if !l.Chosen {
			others = append(others, briefly(l))
			continue
		}
		p := pledgeOf(l)
		u.say("%s", levelLine(l))
		u.say("    promises    %s", p.Promises)
		u.say("    against     %s", p.Against)
		u.say("    cannot      %s", p.Cannot)
		u.ifYouGo(l)
		if !l.AwayFinal {
			u.say("its answers are final when this node has judged them all: keep it running, or come back")
		}
	}
	if len(others) > 0 {
		u.say("another level: %s · what each promises: --dry-run", strings.Join(others, " · "))
	}
}

// levelLine is what one level costs in the grid as it is seen from here.
func levelLine(l api.Level) string {
	parts := []string{fmt.Sprintf("%-9s %.2f executions an answer if nobody lies", l.Level, l.Executions)}
	if l.OwnShare >= 0.005 {
		parts = append(parts, ownShare(l))
	}
	switch {
	case l.Level == "strong":
		parts = append(parts, words.Part(l.Proven, l.Donors, "donor")+" known to you")
	case l.Level == "paranoid" && l.Possible:
		parts = append(parts, fmt.Sprintf("%d networks in sight", l.Networks))
	}
	if !l.Possible {
		parts = append(parts, "not possible here now: "+oneLine(l.Missing))
	}
	if l.Chosen {
		parts = append(parts, "chosen")
	}
	return strings.Join(parts, " · ")
}

// briefly is a level that was not chosen.
func briefly(l api.Level) string {
	switch {
	case !l.Possible:
		return l.Level + " " + oneLine(l.Missing)
	case l.OwnShare >= 0.005:
		return fmt.Sprintf("%s %.2f, %s", l.Level, l.Executions, ownShare(l))
	}
	return fmt.Sprintf("%s %.2f", l.Level, l.Executions)
}

func ownShare(l api.Level) string { return fmt.Sprintf("%.0f %% of units run here", 100*l.OwnShare) }

// submittedDoc is how a submission went, with each level's words.
type submittedDoc struct {
	plainSubmitted
	Levels []levelDoc `json:"levels,omitempty"`
}

// plainSubmitted writes itself field by field.
type plainSubmitted api.Submitted

type levelDoc struct {
	api.Level
	pledge
}

func documentOf(s *api.Submitted) *submittedDoc {
	d := &submittedDoc{plainSubmitted: plainSubmitted(*s)}
	d.Schema = api.SubmittedSchema
	for _, l := range s.Levels {
		d.Levels = append(d.Levels, levelDoc{l, pledgeOf(l)})
	}
	return d
}
