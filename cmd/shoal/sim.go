package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/sim/world"
	"github.com/shoalgrid/shoal/jobs"
)

// What a simulation may be asked for.
const (
	maxSimNodes = 20_000
	maxSimUnits = 100_000
	maxSimSeeds = 100_000_000
)

// simulation is what a person asked to simulate.
type simulation struct {
	seed         uint64
	seeds        int
	nodes, units int
	liars        float64
	level        string
	calm, fast   bool
}

func (p *program) simCommand() *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "a whole grid in virtual time, with faults and liars, decided by one number",
		Long: `Sim runs a grid that does not exist: the code of real nodes on a network, disks and clocks that
fail as --seed draws it, among nodes that lie. Everything that is promised is held against what
happens; the exit code is 0 only if all of it held. The same arguments give the same run, on every
machine, so one line replays whatever was found.`,
		Example: `  shoal sim --seed 7 --nodes 12 --liars 0.25          the story of one run
  shoal sim --seed 1 --seeds 1000 --nodes 12 --liars 3  a thousand runs; those that fail, with the line that replays them
  shoal sim --seed 7 --calm --nodes 100 --units 500   nothing fails: what it costs`,
		Args: exactArgs(),
	}
	f := cmd.Flags()
	f.Uint64Var(&s.seed, "seed", 1, "`N` that decides the run")
	f.IntVar(&s.seeds, "seeds", 1, "run `COUNT` seeds, from --seed on")
	f.IntVar(&s.nodes, "nodes", 12, "`M` nodes that keep and donate, liars included")
	f.Float64Var(&s.liars, "liars", 0, "`F` of them lie: a share below 1, or a number")
	f.IntVar(&s.units, "units", 0, "`U` units of work; 0: as the seed draws it")
	f.StringVar(&s.level, "verify", "standard", "verification `LEVEL`: trusted, standard, strong, paranoid")
	f.BoolVar(&s.calm, "calm", false, "no faults, only liars")
	f.BoolVar(&s.fast, "fast", false, "signatures that cost next to nothing, and that still nobody can forge")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.check(); err != nil {
			return err
		}
		if s.seeds == 1 {
			return p.simOne(s)
		}
		return p.simMany(cmd.Context(), s)
	}
	return cmd
}

func (s *simulation) check() error {
	if err := oneOf("verify", s.level, levelWords()); err != nil {
		return err
	}
	switch {
	case s.nodes < 2 || s.nodes > maxSimNodes:
		return usage(fmt.Sprintf("a grid has from 2 to %d nodes, such as --nodes 12", maxSimNodes), "--nodes %d", s.nodes)
	case s.units < 0 || s.units > maxSimUnits:
		return usage(fmt.Sprintf("from 1 to %d units, or 0: as the seed draws it", maxSimUnits), "--units %d", s.units)
	case s.seeds < 1 || s.seeds > maxSimSeeds:
		return usage(fmt.Sprintf("from 1 to %d runs, such as --seeds 1000", maxSimSeeds), "--seeds %d", s.seeds)
	case s.liars < 0 || s.liarNodes() > s.nodes-2:
		return usage("a share below 1, or a number; two of the nodes are to be honest", "--liars %g of %d nodes", s.liars, s.nodes)
	case s.liars >= 1 && s.liars != math.Trunc(s.liars):
		return usage("a share below 1, or a whole number", "--liars %g", s.liars)
	}
	return nil
}

// liarNodes is how many nodes lie.
func (s *simulation) liarNodes() int {
	if s.liars < 1 {
		return int(s.liars*float64(s.nodes) + 0.5)
	}
	return int(s.liars)
}

func (s *simulation) options(seed uint64) world.Options {
	level, _ := jobs.ParseLevel(s.level) // it was checked
	return world.Options{Seed: seed, Nodes: s.nodes, Liars: s.liarNodes(), Units: s.units, Level: level, Calm: s.calm, Fast: s.fast}
}

// simOne tells the story of one run.
func (p *program) simOne(s simulation) error {
	o := s.options(s.seed)
	if !p.quiet && p.output == formatTable {
		o.Story = storyLines{p.ui}
	}
	r := world.Run(o)
	if err := p.print(simulated(r), func(w io.Writer) { simTable(w, r) }); err != nil {
		return err
	}
	if len(r.Broken) > 0 {
		return simBroken(1, 1, s.replay(r.Seed))
	}
	return nil
}

// simMany runs many seeds, as many at a time as there are processors, and reports those that fail.
func (p *program) simMany(ctx context.Context, s simulation) error {
	var mu sync.Mutex
	var next, done, failed int
	total := &world.Report{Seed: s.seed, Nodes: s.nodes, Liars: s.liarNodes()}
	first := ""
	one := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= s.seeds || ctx.Err() != nil {
			return 0, false
		}
		next++
		return s.seed + uint64(next) - 1, true
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // worlds are small and short: collect less often
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed, ok := one(); ok; seed, ok = one() {
				r := world.Run(s.options(seed))
				mu.Lock()
				done++
				total.Add(r)
				if len(r.Broken) > 0 {
					if failed++; failed == 1 {
						first = s.replay(seed)
					}
					p.ui.simFailed(r, s.replay(seed))
				}
				p.ui.simProgress(done, s.seeds, failed)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	out := simulated(total)
	out.Seeds, out.FailedSeeds = done, failed
	if err := p.print(out, func(w io.Writer) { simTotal(w, out, total) }); err != nil {
		return err
	}
	if failed > 0 {
		return simBroken(failed, done, first)
	}
	return nil
}

// replay is the line that runs a seed again.
func (s *simulation) replay(seed uint64) string {
	line := fmt.Sprintf("shoal sim --seed %d --nodes %d --liars %d", seed, s.nodes, s.liarNodes())
	if s.units > 0 {
		line += fmt.Sprintf(" --units %d", s.units)
	}
	if s.level != "standard" {
		line += " --verify " + s.level
	}
	if s.calm {
		line += " --calm"
	}
	if s.fast {
		line += " --fast"
	}
	return line
}

func simBroken(failed, of int, replay string) error {
	what := "a promise was broken"
	if of > 1 {
		what = fmt.Sprintf("a promise was broken in %d of %d runs", failed, of)
	}
	return &api.Error{Code: api.CodeUnexpected, Message: what, Hint: replay}
}
