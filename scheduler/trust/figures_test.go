package trust

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

func policies() []policy {
	return []policy{
		{name: "trusted", level: jobs.Trusted, votes: 1},
		{name: "standard", level: jobs.Standard, votes: 2},
		{name: "strong", level: jobs.Strong, votes: 2, foreign: true, plan: PlanOf(jobs.Strong)},
		{name: "strong, left", level: jobs.Strong, votes: 2, away: true, plan: PlanOf(jobs.Strong)},
		{name: "M10 (notes)", level: jobs.Strong, votes: 2, plan: Plan{Quiet: 0.1, Alarm: 1, Late: 0.05}},
		{name: "paranoid", level: jobs.Paranoid, votes: jobs.ParanoidVotes},
	}
}

func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// BenchmarkPolicies prints the table of issue 4: accepted-wrong answers per job, and executions
// per answer, for each level, attacker and hostile share. SHOAL_JOBS and SHOAL_UNITS make it
// larger; nothing of it depends on how fast it runs.
func BenchmarkPolicies(b *testing.B) {
	number, units := setting("SHOAL_JOBS", 2), setting("SHOAL_UNITS", 20_000)
	shares := []float64{0.01, 0.05, 0.1, 0.2, 0.3}
	for b.Loop() {
		fmt.Printf("\n%d jobs of %d units, 1,000 donors: wrong answers per job · executions per answer\n", number, units)
		for _, p := range policies() {
			line := fmt.Sprintf("%-13s", p.name)
			for _, fault := range []float64{0, 1e-5, 1e-4, 1e-3} {
				t := play(p, world{peers: 1000, units: units, fault: fault}, number)
				line += fmt.Sprintf(" · faults %g: %s", fault, t.figures(number))
			}
			fmt.Println(line)
			for _, a := range attacks() {
				line := fmt.Sprintf("%-13s %-10s", p.name, a.name)
				for _, f := range shares {
					t := play(p, world{peers: 1000, units: units, hostile: f, attack: a}, number)
					line += fmt.Sprintf(" | %2.0f %%: %-14s", 100*f, t.figures(number))
				}
				fmt.Println(line)
			}
		}
	}
}

// BenchmarkFreshSubmitter prints what strong costs one that knows nobody.
func BenchmarkFreshSubmitter(b *testing.B) {
	for b.Loop() {
		fmt.Println("\na submitter that knows nobody, no liars: executions per answer (its own share)")
		for _, peers := range []int{8, 50, 200, 1000} {
			line := fmt.Sprintf("%5d donors", peers)
			for _, units := range []int{100, 1000, 10_000, 100_000} {
				t := play(policies()[2], world{peers: peers, units: units}, 1)
				line += fmt.Sprintf(" | %6d units: %.2f× (%.2f)", units, float64(t.executions)/float64(units), float64(t.own)/float64(units))
			}
			fmt.Println(line)
		}
	}
}

func play(p policy, w world, number int) *trial {
	t := newTrial(p, w, 1)
	for n := range number {
		t.job(n)
	}
	return t
}

func (t *trial) figures(number int) string {
	return fmt.Sprintf("%.4g %.2f×", float64(t.wrong)/float64(number), float64(t.executions)/float64(number*t.units))
}

// What the levels promise, as far as a small trial can show it.
func TestPolicies(t *testing.T) {
	byName := map[string]attack{}
	for _, a := range attacks() {
		byName[a.name] = a
	}
	strong, standard := policies()[2], policies()[1]
	const units = 5000
	for _, c := range []struct {
		policy policy
		attack string
		f      float64
		wrong  int     // at most
		cost   float64 // executions an answer, at most
	}{
		{strong, "indep", 0.3, 0, 3.8},
		{strong, "collude", 0.1, 0, 3.4},
		{strong, "whitewash", 0.3, 0, 3.9},
		{strong, "betray", 0.1, 3, 3.2},
		{strong, "cartel", 0.1, 8, 3.4},
		{strong, "cartel", 0.3, 8, 3.4},
		{policies()[3], "cartel", 0.1, 8, 3.5},
		{policies()[5], "cartel", 0.1, 0, 7.01},
		{standard, "indep", 0.3, 0, 3},
	} {
		got := play(c.policy, world{peers: 200, units: units, hostile: c.f, attack: byName[c.attack]}, 1)
		if got.wrong > c.wrong || float64(got.executions) > c.cost*units {
			t.Errorf("%s, %s at %.0f %%: %d wrong of %d after %d executions", c.policy.name, c.attack, 100*c.f, got.wrong, units, got.executions)
		}
	}
	if got := play(standard, world{peers: 200, units: units, hostile: 0.1, attack: byName["cartel"]}, 1); got.wrong < units/400 {
		t.Errorf("standard against a cartel of 10 %%: %d wrong of %d; the trial does not attack", got.wrong, units)
	}
	one, two := play(strong, world{peers: 100, units: 500, hostile: 0.2, attack: byName["betray+"]}, 2), play(strong, world{peers: 100, units: 500, hostile: 0.2, attack: byName["betray+"]}, 2)
	if one.executions != two.executions || one.wrong != two.wrong {
		t.Error("the same seed, another outcome")
	}
}
