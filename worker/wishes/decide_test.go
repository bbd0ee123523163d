package wishes

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// noon is a Wednesday.
func noon() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// machine is eight cores and 16 GiB that nobody has touched for an hour.
func machine() Readings {
	return Readings{
		Idle: Know(time.Hour), Others: Know(0.02), OnBattery: Know(false), Metered: Know(false),
		DiskFree: Know[uint64](500 << 30), DiskTotal: Know[uint64](1000 << 30),
		MemoryFree: Know[uint64](12 << 30), MemoryTotal: Know[uint64](16 << 30),
		Temperature: Know(50.0), Programs: Know([]string{"bash", "Zoom.exe"}), Cores: 8,
	}
}

func hours(t *testing.T, text string) Hours {
	t.Helper()
	h, err := ParseHours(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestOneReasonAtATime(t *testing.T) {
	for name, c := range map[string]struct {
		wish  func(*Wishes)
		read  func(*Readings)
		slots int
		why   string // "" where it works
		note  string
	}{
		"idle":               {nil, nil, 8, "", ""},
		"in use":             {nil, func(r *Readings) { r.Idle = Know(time.Minute) }, 0, "computer in use since 11:59, resumes after 3 min without input", ""},
		"in use, but always": {func(w *Wishes) { w.When = Always }, func(r *Readings) { r.Idle = Know(time.Second) }, 4, "", "fewer cores: computer in use"},
		"always, two cores":  {func(w *Wishes) { w.When, w.CoresInUse = Always, 2 }, func(r *Readings) { r.Idle = Know(time.Second) }, 2, "", "fewer cores"},
		"no input device":    {nil, func(r *Readings) { r.Idle = Unknown[time.Duration]("") }, 8, "", "no input device: treated as idle, other load decides"},
		"D-Bus hangs":        {nil, func(r *Readings) { r.Idle = Unknown[time.Duration]("the session bus does not answer") }, 8, "", "the session bus does not answer: treated"},
		"nothing is known":   {nil, func(r *Readings) { *r = Readings{Cores: 8} }, 8, "", "no input device"},
		"others busy":        {nil, func(r *Readings) { r.Others = Know(0.38) }, 0, "other programs use more than 25 % of the CPU since 12:00, resumes after 30 s below that", ""},
		"busy, but always":   {func(w *Wishes) { w.When = Always }, func(r *Readings) { r.Others = Know(0.9) }, 8, "", ""},
		"busy, whatever":     {func(w *Wishes) { w.OthersCPU = 1 }, func(r *Readings) { r.Others = Know(1.0) }, 8, "", ""},
		"battery":            {nil, func(r *Readings) { r.OnBattery = Know(true) }, 0, "on battery since 12:00, resumes on mains", ""},
		"battery allowed":    {func(w *Wishes) { w.OnBattery = true }, func(r *Readings) { r.OnBattery = Know(true) }, 8, "", ""},
		"battery, always":    {func(w *Wishes) { w.When = Always }, func(r *Readings) { r.OnBattery = Know(true) }, 0, "on battery", ""},
		"a program":          {func(w *Wishes) { w.PauseFor = []string{"steam", "zoom"} }, nil, 0, "zoom runs since 12:00, resumes when it has ended", ""},
		"another program":    {func(w *Wishes) { w.PauseFor = []string{"steam"} }, nil, 8, "", ""},
		"never":              {func(w *Wishes) { w.When = Never }, nil, 0, `you wish "when" to be never`, ""},
		"by hand":            {func(w *Wishes) { w.Pause.On = true }, nil, 0, "paused by you since 12:00, goes on with: shoal resume", ""},
		"for a time":         {func(w *Wishes) { w.Pause = Pause{On: true, Until: noon().Add(time.Hour)} }, nil, 0, "paused by you, resumes at 13:00, or with: shoal resume", ""},
		"a time that is up":  {func(w *Wishes) { w.Pause = Pause{On: true, Until: noon()} }, nil, 8, "", ""},
		"hours":              {func(w *Wishes) { w.Hours, _ = ParseHours("19:00-08:00") }, nil, 0, "outside the hours you set, resumes at 19:00", ""},
		"hours, days off":    {func(w *Wishes) { w.Hours, _ = ParseHours("sat-sun") }, nil, 0, "outside the hours you set, resumes Sat 00:00", ""},
		"hot":                {nil, func(r *Readings) { r.Temperature = Know(92.0) }, 7, "", "fewer cores: processor at 92 °C, the limit is 90 °C"},
		"far too hot":        {nil, func(r *Readings) { r.Temperature = Know(101.0) }, 0, "processor hotter than 100 °C since 12:00, resumes below 85 °C", ""},
		"hot, no matter":     {func(w *Wishes) { w.Temperature = 0 }, func(r *Readings) { r.Temperature = Know(101.0) }, 8, "", ""},
		"little memory":      {nil, func(r *Readings) { r.MemoryFree = Know[uint64](1 << 30) }, 7, "", "fewer cores: 1.0 GiB of memory are free"},
		"no memory":          {nil, func(r *Readings) { r.MemoryFree = Know[uint64](1 << 28) }, 0, "other programs need the memory since 12:00", ""},
		"metered":            {nil, func(r *Readings) { r.Metered = Know(true) }, 8, "", "metered connection"},
		"fewer cores wished": {func(w *Wishes) { w.Cores = 3 }, nil, 3, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := Default(), machine()
			if c.wish != nil {
				c.wish(&w)
			}
			if c.read != nil {
				c.read(&r)
			}
			d := Decide(w, r, &State{}, noon())
			if d.Slots != c.slots || d.Paused != (c.why != "") || d.Taking != (c.why == "") || !strings.HasPrefix(d.Main(), c.why) {
				t.Errorf("%d slots, paused %v, taking %v: %q", d.Slots, d.Paused, d.Taking, d.Main())
			}
			if c.note != "" && !slices.ContainsFunc(d.Notes, func(n string) bool { return strings.HasPrefix(n, c.note) }) {
				t.Errorf("notes %q", d.Notes)
			}
		})
	}
}

func TestDiskFullTakesNothingNewButRunsOn(t *testing.T) {
	r, s := machine(), &State{}
	r.DiskFree = Know[uint64](90 << 30)
	d := Decide(Default(), r, s, noon())
	if d.Paused || d.Taking || !d.Full || d.Slots != 8 || d.Main() != "takes and keeps nothing new: less than 100.0 GiB of the disk are free since 12:00, resumes when there is more" {
		t.Errorf("%+v", d)
	}
	r.DiskFree = Know[uint64](110 << 30)
	if d := Decide(Default(), r, s, noon().Add(30*time.Second)); d.Taking {
		t.Error("takes work again at once")
	}
	if d := Decide(Default(), r, s, noon().Add(61*time.Second)); !d.Taking || d.Full {
		t.Errorf("room, and yet: %q", d.Main())
	}
}

func TestMeteredMovesNothingLarge(t *testing.T) {
	w, r := Default(), machine()
	r.Metered = Know(true)
	if d := Decide(w, r, &State{}, noon()); d.Bulk {
		t.Error("large blobs move")
	}
	w.Metered = true
	if d := Decide(w, r, &State{}, noon()); !d.Bulk {
		t.Error("allowed, and yet nothing large moves")
	}
}

func TestMemory(t *testing.T) {
	w, r := Default(), machine()
	if d := Decide(w, r, &State{}, noon()); d.Memory != 8<<30 {
		t.Errorf("idle: %d", d.Memory)
	}
	w.When, r.Idle = Always, Know(time.Second)
	if d := Decide(w, r, &State{}, noon()); d.Memory != 4<<30 {
		t.Errorf("in use: %d", d.Memory)
	}
	w.Memory = 1 << 30
	if d := Decide(w, r, &State{}, noon()); d.Memory != 1<<30 {
		t.Errorf("in use, one wished: %d", d.Memory)
	}
}

// An evening: each line is a second of it, and what status would say.
func TestAnEvening(t *testing.T) {
	w, r, s := Default(), machine(), &State{}
	w.IdleAfter = 3 * time.Minute
	var said []string
	at := noon().Add(-time.Second)
	second := func(idle time.Duration, others float64) {
		at = at.Add(time.Second)
		r.Idle, r.Others = Know(idle), Know(others)
		d := Decide(w, r, s, at)
		line := d.Main()
		if len(said) == 0 || said[len(said)-1] != line {
			said = append(said, line)
		}
	}
	for i := range 10 {
		second(time.Duration(i)*time.Second+time.Hour, 0)
	}
	for range 60 { // somebody types for a minute, and starts a compiler
		second(0, 0.5)
	}
	for i := range 300 { // and leaves: the compiler goes on for 4 min
		load := 0.5
		if i >= 240 {
			load = 0.01
		}
		second(time.Duration(i)*time.Second, load)
	}
	want := []string{
		"",
		"computer in use since 12:00, resumes after 3 min without input",
		"other programs use more than 25 % of the CPU since 12:00, resumes after 30 s below that",
		"",
	}
	if !slices.Equal(said, want) {
		t.Errorf("said\n%s", strings.Join(said, "\n"))
	}
}

func TestHeatTakesOneSlotAfterTheOther(t *testing.T) {
	w, r, s := Default(), machine(), &State{}
	r.Cores = 3
	var slots []int
	for i := range 300 {
		switch {
		case i < 150:
			r.Temperature = Know(93.0)
		default:
			r.Temperature = Know(70.0)
		}
		if n := Decide(w, r, s, noon().Add(time.Duration(i)*time.Second)).Slots; len(slots) == 0 || slots[len(slots)-1] != n {
			slots = append(slots, n)
		}
	}
	if !slices.Equal(slots, []int{2, 1, 2, 3}) {
		t.Errorf("slots %v", slots)
	}
}

// A wish that is changed counts at the next decision, whatever was before.
func TestChangedWishesCountAtOnce(t *testing.T) {
	w, r, s := Default(), machine(), &State{}
	r.Idle, r.Others, r.OnBattery = Know(time.Second), Know(0.9), Know(true)
	if d := Decide(w, r, s, noon()); len(d.Reasons) != 3 {
		t.Fatalf("reasons %v", d.Reasons)
	}
	w.When, w.OnBattery = Always, true
	if d := Decide(w, r, s, noon().Add(time.Second)); d.Paused || d.Slots != 4 {
		t.Errorf("still %q", d.Main())
	}
}

// Whatever the machine says, second by second, guests are not stopped and let go faster than
// the shortest hold; and what is decided makes sense.
func TestNeverOscillates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Default()
		w.When = rapid.SampledFrom([]When{Idle, Always}).Draw(t, "when")
		w.IdleAfter = time.Duration(rapid.IntRange(10, 300).Draw(t, "idle-after")) * time.Second
		w.PauseFor = []string{"zoom"}
		w.Cores = rapid.IntRange(0, 9).Draw(t, "cores")
		shortest := min(w.IdleAfter, batteryHold, programHold)
		s, now := &State{}, noon()
		began, was := time.Time{}, false
		for i := range rapid.IntRange(1, 200).Draw(t, "seconds") {
			now = now.Add(time.Second)
			r := someReadings(t)
			d := Decide(w, r, s, now)
			if d.Paused && (d.Slots != 0 || d.Taking || len(d.Reasons) == 0) || !d.Paused && d.Slots < 1 {
				t.Fatalf("second %d: %+v", i, d)
			}
			if d.Slots > max(w.Cores, r.Cores, 1) {
				t.Fatalf("%d slots of %d cores", d.Slots, r.Cores)
			}
			if d.Paused && !was {
				began = now
			}
			if was && !d.Paused && now.Sub(began) < shortest {
				t.Fatalf("stopped for %s only", now.Sub(began))
			}
			was = d.Paused
		}
	})
}

// someReadings are what a machine might say, and what none would.
func someReadings(t *rapid.T) Readings {
	r := machine()
	r.Cores = rapid.IntRange(0, 8).Draw(t, "cores")
	r.Idle = maybe(t, "idle", rapid.Map(rapid.IntRange(0, 400), func(n int) time.Duration { return time.Duration(n) * time.Second }))
	r.Others = maybe(t, "others", rapid.Float64Range(0, 1))
	r.OnBattery = maybe(t, "battery", rapid.Bool())
	r.Programs = maybe(t, "programs", rapid.SliceOf(rapid.SampledFrom([]string{"zoom", "bash"})))
	r.Temperature = maybe(t, "temperature", rapid.Float64Range(0, 120))
	r.MemoryFree = maybe(t, "memory", rapid.Uint64Range(0, 16<<30))
	r.DiskFree = maybe(t, "disk", rapid.Uint64Range(0, 1000<<30))
	return r
}

func maybe[T any](t *rapid.T, name string, g *rapid.Generator[T]) Known[T] {
	if rapid.Bool().Draw(t, name+" is known") {
		return Know(g.Draw(t, name))
	}
	return Unknown[T]("not known")
}

// A clock that jumps, at any time, makes nobody wait for longer than they would have from then
// on, and nobody run beside a user.
func TestClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"an hour back": -time.Hour, "a year ahead": 365 * 24 * time.Hour, "a second back": -time.Second} {
		w, r, s, at := Default(), machine(), &State{}, noon()
		r.Idle, r.OnBattery = Know(time.Second), Know(true)
		Decide(w, r, s, at)
		at = at.Add(jump)
		if d := Decide(w, r, s, at); !d.Paused {
			t.Errorf("%s: runs beside its user", name)
		}
		r.OnBattery = Know(false)
		var waited time.Duration
		for ; waited <= w.IdleAfter+batteryHold; waited += time.Second {
			r.Idle = Know(time.Second + waited)
			if !Decide(w, r, s, at.Add(waited)).Paused {
				break
			}
		}
		if waited < w.IdleAfter-2*time.Second || waited > w.IdleAfter {
			t.Errorf("%s: runs after %s without input", name, waited)
		}
	}
}

// A clock that is put back just when it is over what made guests stop, or fewer of them run, makes
// the wait begin anew: it is no longer than it would have been, and not the hour longer that the
// clock shows.
func TestAClockPutBackWhileWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		begins func(*Wishes, *Readings)
		wait   time.Duration
	}{
		"battery":    {func(_ *Wishes, r *Readings) { r.OnBattery = Know(true) }, batteryHold},
		"others":     {func(_ *Wishes, r *Readings) { r.Others = Know(0.9) }, busyHold},
		"a program":  {func(w *Wishes, r *Readings) { r.Programs = Know([]string{"steam"}) }, programHold},
		"disk":       {func(_ *Wishes, r *Readings) { r.DiskFree = Know[uint64](1 << 30) }, diskHold},
		"heat":       {func(_ *Wishes, r *Readings) { r.Temperature = Know(95.0) }, hotStep},
		"memory":     {func(_ *Wishes, r *Readings) { r.MemoryFree = Know[uint64](1 << 30) }, roomyStep},
		"overheated": {func(_ *Wishes, r *Readings) { r.Temperature = Know(130.0) }, hotStep},
	} {
		w, r, s, at := Default(), machine(), &State{}, noon()
		w.PauseFor = []string{"steam"}
		whole := Decide(w, r, s, at)
		c.begins(&w, &r)
		if d := Decide(w, r, s, at.Add(time.Second)); d.Slots == whole.Slots && d.Taking {
			t.Errorf("%s: nothing has changed: %+v", name, d)
		}
		r, at = machine(), at.Add(-time.Hour)
		waited := time.Duration(0)
		for ; waited <= 2*c.wait; waited += time.Second {
			if d := Decide(w, r, s, at.Add(waited)); d.Slots == whole.Slots && d.Taking {
				break
			}
		}
		if waited != c.wait {
			t.Errorf("%s: all is as before after %s, not %s", name, waited, c.wait)
		}
	}
}
