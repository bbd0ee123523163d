package web

import (
	"cmp"
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
)

// vocabulary is what the templates say numbers, names and times with.
func vocabulary() template.FuncMap {
	return template.FuncMap{
		"short": words.Short, "peer": shortPeer, "clean": clean, "count": count, "comma": words.Comma[int64], "size": words.Size, "seconds": seconds,
		"left": left, "rate": rate, "percent": percent, "who": who, "spans": spans, "sentence": sentence, "tens": tens, "join": strings.Join, "clock": clock,
		"state": stateWords, "donating": donatingWords, "where": where, "per": per, "first": first, "failure": failure, "class": class, "more": func(all int64, shown int) bool { return all > int64(shown) },
		"mib": func(n uint64) uint64 { return n >> 20 }, "gib": func(n uint64) uint64 { return n >> 30 },
		"choice": func(peer, do, label string) map[string]string {
			return map[string]string{"Peer": peer, "Do": do, "Label": label}
		},
	}
}

// notices are what is said after a wish was granted.
func notices() map[string]string {
	return map[string]string{
		"started":   "This machine donates.",
		"limits":    "The limits are set.",
		"paused":    "Paused.",
		"resumed":   "Donating again.",
		"finishing": "Nothing new is taken; donating ends with what is running.",
		"follow":    "Followed: it has a share of its own here.",
		"unfollow":  "Not followed any more.",
		"block":     "Blocked: nothing of it runs here from now on.",
		"unblock":   "Not blocked any more.",
		"cancelled": "Cancelled. Answers so far are kept.",
		"attached":  "The same job was submitted before: this is it.",
	}
}

// sentence joins what failed and what to try.
func sentence(message, hint string) string {
	out := upper(clean(message)) + "."
	if hint != "" {
		out += " " + upper(clean(hint)) + "."
	}
	return out
}

func upper(s string) string {
	r, size := []rune(s), 0
	if len(r) > 0 {
		size = len(string(r[0]))
		return string(unicode.ToUpper(r[0])) + s[size:]
	}
	return s
}

// shortPeer is a peer ID of a stranger's telling.
func shortPeer(id string) string { return words.Peer(clean(id)) }

// who is a node by the name that it gives itself, and its peer ID.
func who(name, peer string) string {
	return words.Who(first(longestName, strings.ReplaceAll(clean(name), "\n", " ")), clean(peer))
}

// longestName is how much of a node's name is shown, in letters.
const longestName = 32

// clean takes out of a stranger's words what would move or hide other words. Line ends stay.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			return '·'
		}
		return r
	}, strings.ToValidUTF8(text, "·"))
}

// first is the beginning of a long text.
func first(n int, text string) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}

// spans writes numbers that grow, those that follow each other as one span.
func spans(list []int64) string {
	var parts []string
	for i := 0; i < len(list); {
		last := i
		for last+1 < len(list) && list[last+1] == list[last]+1 {
			last++
		}
		part := words.Comma(list[i])
		if last > i {
			part += "–" + words.Comma(list[last])
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ", ")
}

// count is a number of things; a template has ints of two kinds.
func count(n any, thing string) string {
	if v, ok := n.(int); ok {
		return words.Count(v, thing)
	}
	return words.Count(n.(int64), thing)
}

// seconds is a time in its largest units.
func seconds(n any) string {
	var v float64
	switch x := n.(type) {
	case int64:
		v = float64(x)
	case *int64:
		v = float64(*x)
	case float64:
		v = x
	}
	d := time.Duration(v * float64(time.Second))
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24+0.5))
}

// clock is a time of today, or of another day.
func clock(t time.Time) string {
	t = t.Local()
	if now := time.Now(); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("2 Jan 15:04")
}

// left says when a job may end, as a range, where there is evidence.
func left(j *api.Job) string {
	if j.ETALowSeconds == nil || j.ETAHighSeconds == nil {
		return ""
	}
	low, high := seconds(j.ETALowSeconds), seconds(j.ETAHighSeconds)
	if low == high {
		return "about " + low + " left"
	}
	lowNumber, lowUnit, _ := strings.Cut(low, " ")
	if _, unit, _ := strings.Cut(high, " "); unit == lowUnit {
		low = lowNumber
	}
	return low + "–" + high + " left"
}

func rate(perSecond float64) string {
	number, unit := words.Rate(perSecond)
	return number + " inputs/" + unit
}

// percent of a whole, rounded down: 100 is all of it.
func percent(part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return part * 100 / whole
}

// tens is a percentage in steps of ten: what is read out must not change all the time.
func tens(part, whole int64) int64 { return percent(part, whole) / 10 * 10 }

// per is one number by another, or "-".
func per(a, b int64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

func stateWords(j *api.Job) string {
	switch {
	case j.State == api.JobOpen && j.Units.Running+j.Units.Sealed > 0:
		return "running"
	case j.State == api.JobOpen:
		return "waiting"
	}
	return j.State
}

func donatingWords(d api.DonateStatus) string {
	switch d.State {
	case api.DonatingOn:
		return "Donating"
	case api.DonatingPaused:
		return "Paused"
	case api.DonatingFinishing:
		return "Finishing"
	}
	return "Not donating"
}

// where is an address as host and port.
func where(addr string) string { return cmp.Or(words.Place(addr), addr) }

// failure is why an input has no answer.
func failure(r api.Result) string {
	if r.Reason != "" {
		return clean(r.Reason)
	}
	return r.Outcome
}

// class is a state as a class name.
func class(state string) string { return "is-" + strings.ReplaceAll(state, " ", "-") }
