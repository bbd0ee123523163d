package wishes

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the days on which clocks change, on machines without the table

	"pgregory.net/rapid"
)

// week draws each hour of a week from Monday: '#' where it is open.
func week(h Hours) string {
	var b strings.Builder
	for i := range 7 * 24 {
		c := byte('.')
		if h.Open(time.Date(2026, 11, 23, i, 30, 0, 0, time.UTC)) {
			c = '#'
		}
		b.WriteByte(c)
		if i%24 == 23 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestAWeek(t *testing.T) {
	const (
		none  = "........................\n"
		all   = "########################\n"
		night = "########...........#####\n"
		even  = "...................#####\n"
		early = "########................\n"
	)
	for text, want := range map[string]string{
		"":                             strings.Repeat(all, 7),
		"19:00-08:00":                  strings.Repeat(night, 7),
		"mon-fri 19:00-08:00, sat-sun": even + strings.Repeat(night, 4) + all + all,
		"fri-mon":                      all + none + none + none + strings.Repeat(all, 3),
		"sun 19:00-08:00":              early + strings.Repeat(none, 5) + even,
		"Sat 00:00-24:00":              strings.Repeat(none, 5) + all + none,
		"9:00-10:00":                   strings.Repeat(".........#..............\n", 7),
	} {
		if got := week(hours(t, text)); got != want {
			t.Errorf("%q:\n%s", text, got)
		}
	}
}

func TestHoursThatAreNone(t *testing.T) {
	for _, text := range []string{
		",", "mon,", "someday", "mon-", "-fri", "mon 8-9", "mon 08:00", "08:00", "08:00-08:00", "24:00-08:00", "08:00-00:00",
		"08:00-25:00", "08:60-09:00", "mon fri", "mon 08:00-09:00 10:00-11:00", "+8:00-09:00", "mon 08:00-09:00-10:00", strings.Repeat("mon,", 70) + "mon",
	} {
		if h, err := ParseHours(text); err == nil {
			t.Errorf("%q is\n%s", text, week(h))
		}
	}
}

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// The clock on the wall decides, also on the days when it is put forward and back.
func TestDaysOfChangingClocks(t *testing.T) {
	zone := berlin(t)
	for _, c := range []struct {
		day, hours, from, next string
		open                   time.Duration // in all on that day
	}{
		{"2026-03-29", "22:00-06:00", "07:00", "22:00", 7 * time.Hour}, // 02:00 is 03:00: one hour less
		{"2026-10-25", "22:00-06:00", "07:00", "22:00", 9 * time.Hour}, // 03:00 is 02:00 again
		{"2026-03-29", "02:30-03:30", "01:00", "03:00", 30 * time.Minute},
		{"2026-10-25", "02:15-02:45", "01:00", "02:15", time.Hour}, // twice
		{"2026-11-25", "22:00-06:00", "07:00", "22:00", 8 * time.Hour},
	} {
		t.Run(c.day+" "+c.hours, func(t *testing.T) {
			h := hours(t, c.hours)
			at := func(clock string) time.Time {
				v, err := time.ParseInLocation("2006-01-02 15:04", c.day+" "+clock, zone)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			open := time.Duration(0)
			for m := at("00:00"); m.Day() == at("00:00").Day(); m = m.Add(time.Minute) {
				if h.Open(m) {
					open += time.Minute
				}
			}
			if open != c.open {
				t.Errorf("open for %s", open)
			}
			if next, ok := h.Next(at(c.from)); !ok || next.Format("15:04") != c.next {
				t.Errorf("opens at %s, %v", next, ok)
			}
		})
	}
}

// An hour that the clock skips this week comes the next.
func TestSkippedHourComesNextWeek(t *testing.T) {
	zone := berlin(t)
	next, ok := hours(t, "sun 02:00-03:00").Next(time.Date(2026, 3, 28, 12, 0, 0, 0, zone))
	if want := time.Date(2026, 4, 5, 2, 0, 0, 0, zone); !ok || !next.Equal(want) {
		t.Errorf("%s, %v", next, ok)
	}
}

// Next is open, and nothing before it is.
func TestNextIsTheFirst(t *testing.T) {
	zone := berlin(t)
	rapid.Check(t, func(t *rapid.T) {
		minute := rapid.IntRange(0, wholeDay-1)
		from, to := minute.Draw(t, "from"), minute.Draw(t, "to")
		if from == to || to == 0 {
			to = (from + 1) % wholeDay
		}
		if to == 0 {
			to = wholeDay
		}
		day := rapid.SampledFrom([]string{"mon", "sat-mon", "wed-fri", ""}).Draw(t, "days")
		text := fmt.Sprintf("%s %02d:%02d-%02d:%02d", day, from/60, from%60, to/60, to%60)
		h, err := ParseHours(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		at := time.Date(2026, 3, 20, 0, rapid.IntRange(0, 20*wholeDay).Draw(t, "minute"), 7, 0, zone)
		next, ok := h.Next(at)
		if !ok || !h.Open(next) || next.Before(at) {
			t.Fatalf("%q from %s: %s, %v", text, at, next, ok)
		}
		for m := at; m.Before(next); m = m.Add(time.Minute) {
			if h.Open(m) {
				t.Fatalf("%q was open at %s already, not %s", text, m, next)
			}
		}
	})
}

func FuzzHours(f *testing.F) {
	for _, text := range []string{"", "mon-fri 19:00-08:00, sat-sun", "24:00-1:00", "sun"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHours(text)
		if err != nil {
			return
		}
		again, err := ParseHours(h.String())
		if err != nil || week(again) != week(h) {
			t.Errorf("%q is not %q: %v", h.String(), text, err)
		}
	})
}
