package world

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// planted is a bug, the check of an invariant that is to find it, and the kind of worlds in which it
// does; the seed is the first that is tried: bugs that show seldom should not take long to look for.
type planted struct {
	invariant, check string
	in               Options
}

// allPlanted has, for each check, a bug that it finds.
func allPlanted() []planted {
	return []planted{
		{"I1", "%s cannot prove its answers: %s", Options{Defect: LoseProofs}},
		{"I1", "unit %d was accepted with %d votes", Options{Defect: Downgrade}},
		{"I2", "unit %d has a wrong answer, and nobody lies", Options{Defect: Miscount}},
		{"I3", "%s voted for the wrong answer to input %d", Options{Defect: Miscount, Liars: 2}},
		{"I4", "%s forgets an answer that it accepted", Options{Defect: LoseAnswers}},
		{"I4", "%s accepts another answer to input %d than it had", Options{Defect: ChangeAnswers}},
		{"I5", "%s has another job than it had", Options{Defect: SubmitAgain}},
		{"I5", "%s does not find the job that it had", Options{Defect: SkipJob}},
		{"I5", "%s forgets a part of its own job", Options{Defect: LoseParts}},
		{"I5", "%s has lost a part of its job: %v", Options{Defect: SkipParts}},
		{"I6", "%s has the answers %v of %d units, in a job that is complete", Options{Defect: SkipAnswers}},
		{"I7", "%s runs unit %d again", Options{Defect: RunTwice}},
		{"I7", "%s runs unit %d, which %d have run, for no reason", Options{Defect: Upgrade, Nodes: 3, Units: 60, Level: jobs.Trusted}},
		{"I8", "%s lets two workers hold replica %d of unit %d, the one for %s more", Options{Defect: GrantAll}},
		{"I8", "%s lets two workers hold replica %d of unit %d, the one for %s more", Options{Defect: DeafRenew}},
		{"I9", "%s starts unit %d, which it asked for %s ago", Options{Defect: NoRenewal}},
		{"I9", "%s starts unit %d, which it asked for %s ago though it thinks %s", Options{Defect: Sleepless}},
		{"I10", "%s replaces records it has", Options{Defect: ChangeRecords}},
		{"I10", "%s knew version %d of a shard, and says %d", Options{Defect: Backwards}},
		{"I11", "%s acknowledged a %s that is not on its disk", Options{Defect: AckEarly}},
		{"I11", "%s does not show the seal of %s for unit %d, which it has acknowledged", Options{Defect: HideSeals}},
		{"I12", "%s seals two things for unit %d", Options{Defect: DoubleSeal}},
		{"I12", "%s reveals two things for unit %d", Options{Defect: DoubleReveal}},
		{"I13", "%s is convicted", Options{Defect: DoubleSeal}},
		{"I13", "%s is convicted", Options{Defect: DoubleReveal}},
		{"I13", "%s lets %s have nothing, which is honest", Options{Defect: DoubleSeal}},
		{"I13", "%s said two things of unit %d, and is not convicted", Options{Defect: Lenient, Liars: 2, Vice: "doubling"}},
		{"I13", "%s grants to %s, of whom it has two records that contradict each other", Options{Defect: GrantGuilty, Liars: 2, Vice: "doubling"}},
		{"I14", "%s shows results of unit %d, which is not agreed, to %s", Options{Defect: ShowAll, Liars: 3}},
		{"I14", "%s reveals unit %d having read %d seals", Options{Defect: RevealEarly}},
		{"I14", "%s names a seal that nobody sent", Options{Defect: MisnameSeal}},
		{"I15", "the records of %s's job give different states in different orders", Options{Defect: OrderMatters}},
		{"I15", "unit %d is %s in one order and %s in another", Options{Defect: Unopened}},
		{"I15", "three parts of the records of %s's job come to different states", Options{Defect: HandOnHalf}},
		{"I16", "the keepers of %s's job still differ: %s", Options{Defect: NoSync}},
		{"I17", "%s runs %s on %q for input %d", Options{Defect: WrongProgram}},
		{"I17", "%s runs %s on %q for input %d", Options{Defect: WrongInput}},
		{"I17", "%s runs a program of profile %d, which its release does not know", Options{Defect: AnyProfile}},
		{"I17", "%s keeps inputs that its job was not signed with", Options{Defect: KeepAnything, Liars: 1, Vice: "altering"}},
		{"I18", "%s and %s differ about input %d", Options{Defect: OddMachines}},
		{"I19", "unit %d was accepted with another answer than its records have", Options{Defect: Misdeliver}},
		{"I19", "unit %d was accepted, and the records do not say so", Options{Defect: LoseReveals}},
		{"I20", "%s is credited with %d units, it ran %d", Options{Defect: Overpay}},
		{"I20", "%s is credited with %d units, it ran %d", Options{Defect: PayLate, Liars: 2, Vice: "copying"}},
		{"I20", "%s copies, and is trusted", Options{Defect: Praise, Liars: 2, Vice: "copying", Level: jobs.Strong}},
		{"I20", "%s is trusted for %d units at %s, it sealed %d with others", Options{Defect: Overtrust, Level: jobs.Strong}},
		{"I20", "%s was burned at %s, and is not any more", Options{Defect: Forgive, Liars: 3, Vice: "betraying", Level: jobs.Strong}},
		{"I21", "%s lets one worker hold %d replicas, %d are allowed", Options{Defect: GrantAll, Liars: 2}},
		{"I22", "%s answers with %d bytes", Options{Defect: Verbose}},
		{"I22", "%s is busy with %d things at once", Options{Defect: Leak}},
		{"I22", "%s has %d jobs of one submitter on its board", Options{Defect: OpenBoard, Liars: 1, Vice: "spamming"}},
		{"I23", "%s takes %d records for new that it has acknowledged", Options{Defect: Recount}},
		{"I24", "%s's job is not done %s after all healed: %d of %d units%s", Options{Defect: NoGrants}},
		{"I24", "%s's job is not done %s after all healed: %d of %d units%s", Options{Defect: StarveUnit}},
		{"I24", "%s's job is not done %s after all healed: %d of %d units%s", Options{Defect: Mute}},
		{"I25", "%s does not start again: %v", Options{Defect: CannotRestart}},
	}
}

// Each check of an invariant finds a bug that was planted, within 200 seeds.
func TestDefectsAreFound(t *testing.T) {
	for _, c := range allPlanted() {
		t.Run(c.invariant+" "+c.check, func(t *testing.T) {
			t.Parallel()
			o := c.in
			o.Nodes, o.Fast, o.Until, o.Limit = cmp.Or(o.Nodes, 7), true, c.check, 20*time.Minute
			for range 200 {
				if r := Run(o); r.Breaks(c.check) {
					t.Logf("found by seed %d: %v", o.Seed, r.Broken)
					return
				}
				o.Seed++
			}
			t.Error("not found")
		})
	}
}

// No check is there that finds nothing, and no invariant that has none.
func TestEveryCheckFindsABug(t *testing.T) {
	checks, found := map[string]string{}, map[string]bool{}
	for _, c := range checksInSource(t) {
		if checks[c.check] != "" {
			t.Errorf("two checks say %q", c.check)
		}
		checks[c.check] = c.invariant
	}
	for _, p := range allPlanted() {
		if checks[p.check] != p.invariant {
			t.Errorf("%s has no check that says %q", p.invariant, p.check)
		}
		found[p.check] = true
	}
	for check, invariant := range checks {
		if !found[check] {
			t.Errorf("%s: no bug is planted for %q", invariant, check)
		}
	}
	covered := slices.Collect(maps.Values(checks))
	for _, inv := range Invariants() {
		if !slices.Contains(covered, inv[0]) {
			t.Errorf("nothing checks %s", inv[0])
		}
	}
}

// checksInSource are the calls of broke in this package, by the words that they pass.
func checksInSource(t *testing.T) (out []planted) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "broke" {
				out = append(out, planted{invariant: literal(t, call.Args[0]), check: literal(t, call.Args[1])})
			}
			return true
		})
	}
	return out
}

func literal(t *testing.T, e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(l.Value); err == nil {
			return s
		}
	}
	t.Fatalf("a check whose words are no literal: %v", e)
	return ""
}
