package wishes

import (
	"fmt"
	"strings"
	"time"
)

// Hours are times of the week, by the clock on the wall: on the days when that is put forward
// or back they are what the clock shows. The zero value is always.
type Hours struct {
	text    string
	windows []window
}

// window is a span of the day, on some days. One that ends before it begins goes on into the
// next day.
type window struct {
	days     [7]bool // by time.Weekday
	from, to int     // minutes of the day; to is at most 24·60
}

const (
	wholeDay   = 24 * 60
	maxWindows = 64
)

// String is the hours as they were given; "" is always.
func (h Hours) String() string { return h.text }

// ParseHours reads hours: days, times, or days with times, separated by commas, such as
// "mon-fri 19:00-08:00, sat-sun". An empty text is always.
func ParseHours(text string) (Hours, error) {
	h := Hours{text: strings.TrimSpace(text)}
	if h.text == "" {
		return h, nil
	}
	parts := strings.Split(h.text, ",")
	if len(parts) > maxWindows {
		return Hours{}, fmt.Errorf("more than %d times of the week", maxWindows)
	}
	for _, part := range parts {
		w, err := parseWindow(strings.Fields(strings.ToLower(part)))
		if err != nil {
			return Hours{}, fmt.Errorf("%q: %w", strings.TrimSpace(part), err)
		}
		h.windows = append(h.windows, w)
	}
	return h, nil
}

func parseWindow(words []string) (w window, err error) {
	if len(words) == 0 || len(words) > 2 {
		return w, fmt.Errorf("is not days and times")
	}
	w = window{days: [7]bool{true, true, true, true, true, true, true}, to: wholeDay}
	if !strings.Contains(words[0], ":") {
		if w.days, err = parseDays(words[0]); err != nil {
			return w, err
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return w, nil
	}
	from, to, ok := strings.Cut(words[0], "-")
	if !ok || len(words) > 1 {
		return w, fmt.Errorf("is not days and times")
	}
	if w.from, err = parseMinute(from); err != nil {
		return w, err
	}
	if w.to, err = parseMinute(to); err != nil {
		return w, err
	}
	if w.from == w.to || w.from == wholeDay || w.to == 0 {
		return w, fmt.Errorf("does not begin before it ends: a whole day is 00:00-24:00")
	}
	return w, nil
}

func parseDays(text string) (days [7]bool, err error) {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		last = first
	}
	from, to := dayOf(first), dayOf(last)
	if from < 0 || to < 0 {
		return days, fmt.Errorf("the days are mon, tue, wed, thu, fri, sat, sun")
	}
	for d := from; ; d = (d + 1) % 7 {
		days[d] = true
		if d == to {
			return days, nil
		}
	}
}

// dayOf is the time.Weekday of a short name, or -1.
func dayOf(name string) int {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.ToLower(d.String()[:3]) == name {
			return int(d)
		}
	}
	return -1
}

// parseMinute reads a time of day such as 08:00 or 24:00, in minutes.
func parseMinute(text string) (int, error) {
	bad := fmt.Errorf("%q is not a time of day from 00:00 to 24:00", text)
	if len(text) < 4 || len(text) > 5 || text[len(text)-3] != ':' {
		return 0, bad
	}
	n := [2]int{}
	for i, digits := range []string{text[:len(text)-3], text[len(text)-2:]} {
		for _, c := range digits {
			if c < '0' || c > '9' {
				return 0, bad
			}
			n[i] = 10*n[i] + int(c-'0')
		}
	}
	minute := 60*n[0] + n[1]
	if n[1] > 59 || minute > wholeDay {
		return 0, bad
	}
	return minute, nil
}

// Open reports whether t, by the clock of its own location, is within the hours.
func (h Hours) Open(t time.Time) bool {
	if len(h.windows) == 0 {
		return true
	}
	today := int(t.Weekday())
	yesterday := (today + 6) % 7
	minute := 60*t.Hour() + t.Minute()
	for _, w := range h.windows {
		overnight := w.to < w.from
		switch {
		case !overnight && w.days[today] && w.from <= minute && minute < w.to,
			overnight && w.days[today] && w.from <= minute,
			overnight && w.days[yesterday] && minute < w.to:
			return true
		}
	}
	return false
}

// Next is the first minute from t on that is within the hours: t itself where they are open.
// The second value is false where there is none, as with the one hour that a clock skips.
func (h Hours) Next(t time.Time) (time.Time, bool) {
	if h.Open(t) {
		return t, true
	}
	next := t.Truncate(time.Minute)
	for range 2 * 7 * wholeDay { // a clock that is put forward may skip this week's
		if next = next.Add(time.Minute); h.Open(next) {
			return next, true
		}
	}
	return time.Time{}, false
}
