package world

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "first of the fresh seeds; 0: from the clock")
	replay    = flag.Bool("replay", false, "run the one seed, with everything said")
	levelFlag = flag.String("verify", "standard", "level of the run that is replayed")
	nodesFlag = flag.Int("nodes", 12, "of the run that is replayed")
	liarsFlag = flag.Int("liars", 0, "of them")
	viceFlag  = flag.String("vice", "", "of the liars")
	unitsFlag = flag.Int("units", 0, "of all jobs")
)

// line is what replays a run.
func line(o Options) string {
	more := ""
	if o.Calm {
		more = " --calm"
	}
	if o.Level != 0 {
		more += " --verify " + o.Level.String()
	}
	return fmt.Sprintf("shoal sim --seed %d --nodes %d --liars %d --fast%s", o.Seed, o.Nodes, o.Liars, more)
}

func holds(t *testing.T, o Options) *Report {
	t.Helper()
	o.Fast = true
	r := Run(o)
	for _, b := range r.Broken {
		t.Errorf("%s: %s\nreplay: %s", b.Invariant, b.What, line(o))
	}
	return r
}

// The promises hold in a fixed set of worlds, and in some that nobody has seen before.
func TestPromises(t *testing.T) {
	fresh := *seedFlag
	if fresh == 0 {
		fresh = uint64(time.Now().UnixNano())
	}
	var seeds []uint64
	for i := range uint64(4) {
		seeds = append(seeds, i)
	}
	if !testing.Short() {
		seeds = append(seeds, fresh, fresh+1)
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			holds(t, Options{Seed: seed, Nodes: 7})
			holds(t, Options{Seed: seed, Nodes: 8, Liars: 2})
		})
	}
}

// TestReplay runs one world with its story and the nodes' logs: -run Replay -seed N -nodes M -liars L.
func TestReplay(t *testing.T) {
	if !*replay {
		t.Skip("with -replay")
	}
	level, err := jobs.ParseLevel(*levelFlag)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, Options{
		Seed: *seedFlag, Nodes: *nodesFlag, Liars: *liarsFlag, Vice: *viceFlag, Units: *unitsFlag, Level: level, Story: os.Stderr,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}

// One seed is one run, step by step; other seeds are other runs.
func TestOneSeedOneRun(t *testing.T) {
	traces := map[string]bool{}
	for seed := range uint64(3) {
		o := Options{Seed: seed, Nodes: 8, Liars: 2, Units: 6}
		a, b := Run(o), Run(o)
		if fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) {
			t.Errorf("seed %d:\n%+v\n%+v", seed, a, b)
		}
		traces[a.Trace] = true
	}
	if len(traces) != 3 {
		t.Errorf("3 seeds gave %d runs", len(traces))
	}
}

// A run is the same on every machine: what this one gave on the machine where it was written. A
// change of the code that runs changes it; a change of the machine must not.
func TestNothingFailsNothingIsWasted(t *testing.T) {
	r := holds(t, Options{Seed: 3, Nodes: 10, Units: 20, Calm: true})
	if r.Accepted != 20 || r.Executions != 40 || r.Faults != 0 || r.Wrong != 0 {
		t.Errorf("%+v", r)
	}
}

// At strong no wrong answer is accepted, whatever fails and though two of nine lie.
func TestStrongIsRight(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			if r := holds(t, Options{Seed: seed, Nodes: 9, Liars: 2, Level: jobs.Strong}); r.Wrong > 0 {
				t.Errorf("%d of %d answers are wrong\nreplay: %s --verify strong", r.Wrong, r.Accepted, line(Options{Seed: seed, Nodes: 9, Liars: 2}))
			}
		})
	}
}

// Who computes nothing and says what others said earns nothing, and nobody trusts it, at any level.
func TestCopiersGetNothing(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			holds(t, Options{Seed: seed, Nodes: 7, Liars: 1 + int(seed%3), Vice: "copying"})
			holds(t, Options{Seed: seed, Nodes: 7, Liars: 1, Vice: "copying", Level: jobs.Strong})
		})
	}
}

// Who names whom it trusts, and who trusts nobody but seven voters from seven networks, has its answers
// too, and none is wrong.
func TestTrustedAndParanoidAreRight(t *testing.T) {
	for _, level := range []jobs.Level{jobs.Trusted, jobs.Paranoid} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(level, seed), func(t *testing.T) {
				t.Parallel()
				if r := holds(t, Options{Seed: seed, Nodes: 12, Liars: 2, Units: 8, Level: level}); r.Wrong > 0 {
					t.Errorf("%d of %d answers are wrong", r.Wrong, r.Accepted)
				}
			})
		}
	}
}

// Seeds that once found a bug.
func TestFoundBefore(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		late bool // found since the menu of vices and faults has grown
	}{
		{"a record acknowledged while another's write of it was failing", Options{Seed: 106, Nodes: 12}, false},
		{"a shard that could not be let go, under a sync", Options{Seed: 306, Nodes: 12}, false},
		{"a worker that could not start on a full disk", Options{Seed: 3, Nodes: 7}, false},
		{"a round that waits for the seal of one who has since convicted himself", Options{Seed: 3034, Nodes: 8, Liars: 2}, false},
		{"the same, once more", Options{Seed: 3064, Nodes: 8, Liars: 2}, false},
		{"a result that others overtook, revealed late: that is dissent, and no bug", Options{Seed: 91234541, Nodes: 9, Liars: 2}, false},
		{"the same, after all had dropped out one by one", Options{Seed: 91234706, Nodes: 9, Liars: 2}, false},
		{"the same, after all keepers had gone again and again", Options{Seed: 91234969, Nodes: 9, Liars: 2}, false},
		{"a unit begun by a worker that was cut off for longer than its lease", Options{Seed: 55110412, Nodes: 8}, false},
		{"a node whose disk failed at its start", Options{Seed: 91234727, Nodes: 8}, false},
		{"the same, among others", Options{Seed: 91234878, Nodes: 8}, false},
		{"who had said two things was granted again what it held", Options{Seed: 9301400, Nodes: 9, Liars: 2}, false},
		{"a last word that a failing disk kept back was never said", Options{Seed: 5000081, Nodes: 9, Liars: 2, Level: jobs.Strong}, false},
		{"a paranoid unit that only its submitter could decide, and that it never ran", Options{Seed: 0, Nodes: 12, Liars: 3, Level: jobs.Paranoid}, false},
		{"a submitter that said two things of a unit, which kept its other units waiting", Options{Seed: 5007, Nodes: 7, Liars: 3, Vice: "copying", Level: jobs.Strong}, false},
		{"a keeper told of a draw with no share: who narrowed it never came to an end", Options{Seed: 0, Nodes: 8, Liars: 2, Units: 6, Vice: "inventing"}, true},
		{"a keeper took what had rotted on its disk for another record", Options{Seed: 31016, Nodes: 8}, true},
		{"a paranoid unit accepted against a dissent, since that came late", Options{Seed: 4, Nodes: 12, Liars: 3, Level: jobs.Paranoid}, true},
		{"claims that few keepers granted made a unit young again at those few, for ever", Options{Seed: 97000314, Nodes: 8}, true},
		{"the same, before worlds drew otherwise", Options{Seed: 91002008, Nodes: 8}, true},
		{"the same, in such an older world too", Options{Seed: 93300657, Nodes: 8}, true},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.o.Early = !c.late; holds(t, c.o) })
	}
}

func TestEveryInvariantIsNamed(t *testing.T) {
	for i, inv := range Invariants() {
		if inv[0] != fmt.Sprintf("I%d", i+1) || inv[1] == "" || inv[2] == "" {
			t.Errorf("%v", inv)
		}
	}
}
