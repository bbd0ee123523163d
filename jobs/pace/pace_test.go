package pace

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(seconds float64) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// going is a pace of one input at each of these times.
func going(times ...float64) *Pace {
	p := &Pace{}
	for i, t := range times {
		p.Note(at(t), uint64(i))
	}
	return p
}

func TestForecast(t *testing.T) {
	for name, c := range map[string]struct {
		p    *Pace
		now  float64
		left uint64
		want Forecast
	}{
		"nothing seen":        {going(), 5, 10, Forecast{}},
		"only what was done":  {going(0), 5, 10, Forecast{}},
		"one is no evidence":  {going(0, 1), 2, 10, Forecast{Rate: 0.5}},
		"four neither":        {going(0, 1, 2, 3, 4), 4, 10, Forecast{Rate: 1}},
		"a burst neither":     {going(0, .1, .2, .3, .4, .5, .6), .6, 10, Forecast{}},
		"steady":              {going(0, 1, 2, 3, 4, 5), 5, 10, Forecast{Rate: 1, Low: 5769 * time.Millisecond, Likely: 10 * time.Second, High: 37505 * time.Millisecond, Known: true}},
		"stands still":        {going(0, 1, 2, 3, 4, 5), 30, 10, Forecast{}},
		"quiet, but slow too": {going(0, 100, 200, 300, 400, 500), 520, 1, Forecast{Rate: 5. / 520, Low: 60 * time.Second, Likely: 104 * time.Second, High: 390 * time.Second, Known: true}},
	} {
		got := c.p.Forecast(at(c.now), c.left)
		near := func(a, b time.Duration) bool { return (a - b).Abs() <= max(a, b)/100 }
		if got.Known != c.want.Known || got.Rate < c.want.Rate*.99 || got.Rate > c.want.Rate*1.01 ||
			!near(got.Low, c.want.Low) || !near(got.Likely, c.want.Likely) || !near(got.High, c.want.High) {
			t.Errorf("%s: %+v, not %+v", name, got, c.want)
		}
	}
}

// What is taken back begins anew.
func TestTakenBack(t *testing.T) {
	p := going(0, 1, 2, 3, 4, 5, 6)
	p.Note(at(7), 3)
	if f := p.Forecast(at(8), 10); f != (Forecast{}) || len(p.Samples()) != 1 {
		t.Errorf("forecast %+v from %d samples", f, len(p.Samples()))
	}
}

// Whatever comes, little is remembered, in order, and a forecast is a range.
func TestPaceIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Pace
		now, done := 0.0, uint64(0)
		for range rapid.IntRange(0, 3000).Draw(t, "notes") {
			now += rapid.Float64Range(-1, 60).Draw(t, "wait")
			done += rapid.Uint64Range(0, 1000).Draw(t, "done")
			p.Note(at(now), done)
		}
		s := p.Samples()
		if len(s) >= MaxSamples {
			t.Fatalf("%d samples", len(s))
		}
		for i := 1; i < len(s); i++ {
			if s[i].At.Before(s[i-1].At) || s[i].Done <= s[i-1].Done || s[i].Events <= s[i-1].Events {
				t.Fatalf("sample %d: %+v after %+v", i, s[i], s[i-1])
			}
		}
		f := p.Forecast(at(now+1), 100)
		if math.IsInf(f.Rate, 0) || f.Rate < 0 || f.Known && (f.Rate == 0 || f.Low > f.Likely || f.Likely > f.High) {
			t.Fatalf("forecast %+v", f)
		}
	})
}

// Of jobs whose units come independently nine in ten end within the range that was told.
func TestRangeHolds(t *testing.T) {
	held, told := 0, 0
	for seed := range uint64(400) {
		chance := rand.New(rand.NewPCG(seed, 1))
		const inputs = 200
		var p Pace
		now := 0.0
		p.Note(at(now), 0)
		var f Forecast
		asked := 0.0
		for i := 1; i <= inputs; i++ {
			now += chance.ExpFloat64()
			p.Note(at(now), uint64(i))
			if i == 10+int(seed%100) {
				f, asked = p.Forecast(at(now), uint64(inputs-i)), now
			}
		}
		if !f.Known {
			continue
		}
		told++
		took := time.Duration((now - asked) * float64(time.Second))
		if f.Low <= took && took <= f.High {
			held++
		}
	}
	if told < 390 || held*100 < told*85 {
		t.Errorf("%d ranges told, %d held", told, held)
	}
}
