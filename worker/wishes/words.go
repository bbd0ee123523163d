package wishes

import (
	"fmt"
	"strings"
	"time"
)

// A reason says nothing that changes from one reading to the next: it is told when it changes.

// Reason is why guests stand still, or nothing new is taken.
type Reason struct {
	Why     string    // "computer in use"
	Since   time.Time // when it began
	Resumes string    // "resumes after 3 min without input"
	Until   time.Time // when it ends, where that is known
}

// String is the reason as status shows it: "computer in use since 12:04, resumes after 3 min
// without input".
func (r Reason) String() string {
	text := r.Why
	if !r.Since.IsZero() {
		text += " since " + r.Since.Format("15:04")
	}
	if r.Resumes != "" {
		text += ", " + r.Resumes
	}
	return text
}

func pausedByHand(since, until time.Time) Reason {
	if until.IsZero() {
		return Reason{Why: "paused by you", Since: since, Resumes: "goes on with: shoal resume"}
	}
	return Reason{Why: "paused by you", Resumes: "resumes at " + until.Format("15:04") + ", or with: shoal resume", Until: until}
}

func neverWished(time.Time) Reason {
	return Reason{Why: `you wish "when" to be never`, Resumes: "goes on with: shoal config set when idle"}
}

func outsideHours(_, opens, now time.Time) Reason {
	r := Reason{Why: "outside the hours you set", Until: opens}
	switch {
	case opens.IsZero():
		r.Resumes = "which never come"
	case opens.Sub(now) < 24*time.Hour:
		r.Resumes = "resumes at " + opens.Format("15:04")
	default:
		r.Resumes = "resumes " + opens.Format("Mon 15:04")
	}
	return r
}

func computerInUse(since time.Time, idleAfter time.Duration) Reason {
	return Reason{Why: "computer in use", Since: since, Resumes: "resumes after " + span(idleAfter) + " without input"}
}

func othersBusy(since time.Time, limit float64) Reason {
	return Reason{
		Why: fmt.Sprintf("other programs use more than %.0f %% of the CPU", 100*limit), Since: since,
		Resumes: "resumes after " + span(busyHold) + " below that",
	}
}

func programRuns(since time.Time, name string) Reason {
	return Reason{Why: name + " runs", Since: since, Resumes: "resumes when it has ended"}
}

func onBattery(since time.Time) Reason {
	return Reason{Why: "on battery", Since: since, Resumes: "resumes on mains"}
}

func tooHotFor(since time.Time, limit float64) Reason {
	return Reason{Why: fmt.Sprintf("processor hotter than %.0f °C", limit+overheated), Since: since, Resumes: fmt.Sprintf("resumes below %.0f °C", limit-coolDown)}
}

func memoryNeeded(since time.Time) Reason {
	return Reason{Why: "other programs need the memory", Since: since, Resumes: "resumes a minute after there is more"}
}

func diskFull(since time.Time, keep uint64) Reason {
	return Reason{Why: "takes and keeps nothing new: less than " + gib(keep) + " of the disk are free", Since: since, Resumes: "resumes when there is more"}
}

// besideUser says why less than all is lent to an owner who lends always.
const besideUser = "fewer cores: computer in use"

// MeteredNote says what does not happen on such a connection.
const MeteredNote = "metered connection: nothing large is moved but for your own jobs"

func noInput(why string) string {
	if why == "" {
		why = "no input device"
	}
	return why + ": treated as idle, other load decides"
}

func hotNote(t, limit float64) string {
	return fmt.Sprintf("fewer cores: processor at %.0f °C, the limit is %.0f °C", t, limit)
}

func tightNote(free uint64) string { return "fewer cores: " + gib(free) + " of memory are free" }

func gib(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

// span is a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

// sameProgram compares names as people write them: without case, with or without ".exe".
func sameProgram(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(strings.ToLower(a), ".exe"), strings.TrimSuffix(strings.ToLower(b), ".exe"))
}
