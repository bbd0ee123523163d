package scheduler

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shoalgrid/shoal/jobs"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt; commit only a diff you understand")

// TestTranscripts tells the stories of testdata/*.txt. Each is a list of commands; below the
// line after a command stands all that it changed. A unit's line reads
//
//	unit 0 sealed  free 1  ann=sealed bob:0  votes -   [k1 k2]
//
// which is: its state and free replicas, the seals that wait and the leases as the keepers in
// brackets see them, and the votes. testdata/README.md lists the commands.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			told := tell(t, string(old))
			if *update {
				if err := os.WriteFile(file, []byte(told), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(old), told); diff != "" {
				t.Errorf("%s is told differently now (-then +now); go test -update rewrites it:\n%s", file, diff)
			}
		})
	}
}

const rule = "----"

// tell runs a transcript's commands and writes it anew. A paragraph is a comment, or commands
// followed by the rule and what they changed.
func tell(t *testing.T, text string) string {
	var out bytes.Buffer
	s := &story{}
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		var told []string
		commands := 0
		for line := range strings.SplitSeq(paragraph, "\n") {
			if line == rule {
				break
			}
			fmt.Fprintln(&out, line)
			if !strings.HasPrefix(line, "#") {
				commands++
				told = append(told, s.do(t, strings.Fields(line))...)
			}
		}
		if commands > 0 {
			fmt.Fprintln(&out, rule)
			for _, line := range append(told, s.changes()...) {
				fmt.Fprintln(&out, line)
			}
		}
	}
	return out.String()
}

// changes are the lines of the units that look different now, equal ones of several keepers in
// one.
func (s *story) changes() (out []string) {
	if s.world == nil {
		return nil
	}
	for unit := range s.manifest.Units {
		var lines []string
		seenBy := map[string][]string{}
		for _, name := range s.order {
			k := s.keepers[name]
			line := fmt.Sprintf("unit %d %s", unit, s.line(k, unit))
			if s.shown[name+strconv.Itoa(unit)] == line {
				continue
			}
			s.shown[name+strconv.Itoa(unit)] = line
			if seenBy[line] == nil {
				lines = append(lines, line)
			}
			seenBy[line] = append(seenBy[line], name)
		}
		for _, line := range lines {
			out = append(out, fmt.Sprintf("%s  [%s]", line, strings.Join(seenBy[line], " ")))
		}
	}
	return append(out, s.dealings()...)
}

// dealings are what the keepers have learnt against workers.
func (s *story) dealings() (out []string) {
	heard := map[string][]string{}
	var order []string
	for _, name := range s.order {
		d := s.keepers[name].ledger.Dealings()
		var lines []string
		for _, n := range d.Silent {
			lines = append(lines, s.names[n]+" does not reveal what it sealed")
		}
		for _, n := range d.Convicted {
			lines = append(lines, s.names[n]+" said two things, and is convicted")
		}
		slices.Sort(lines)
		for _, line := range lines {
			if heard[line] == nil {
				order = append(order, line)
			}
			heard[line] = append(heard[line], name)
		}
	}
	for _, line := range order {
		out = append(out, fmt.Sprintf("%s  [%s]", line, strings.Join(heard[line], " ")))
	}
	return out
}

func (s *story) line(k *keeper, unit int) string {
	now := k.now(s.now)
	sum := k.ledger.Summary(now)
	us := sum.Unit(unit)
	u := k.ledger.look(now, unit)
	text := fmt.Sprintf("%s  free %s", us.State, replicas(us.Free))
	if sum.Closed != 0 {
		text = "closed, " + text
	}
	for _, x := range u.leases {
		text += fmt.Sprintf("  %s holds %s", s.names[x.worker], holdName(jobs.Hold{Unit: uint16(unit), Replica: x.replica}))
	}
	var sealed []string
	for _, r := range u.sealed {
		if name := s.names[r.Author]; !u.verdict.votedBy(r.Author) && !slices.Contains(sealed, name) {
			sealed = append(sealed, name)
		}
	}
	if slices.Sort(sealed); len(sealed) > 0 {
		text += "  sealed by " + strings.Join(sealed, " ")
	}
	if len(u.verdict.Votes) > 0 {
		text += "  votes " + s.votes(&u.verdict)
	}
	return text
}

func replicas(b uint8) (s string) {
	for r := range 8 {
		if b&(1<<r) != 0 {
			s += strconv.Itoa(r)
		}
	}
	if s == "" {
		return "-"
	}
	return s
}

// votes are a verdict's voters and, per input, what was decided: "late" marks who is independent
// of nobody.
func (s *story) votes(v *Verdict) string {
	var voters, inputs []string
	for _, x := range v.Votes {
		name := s.names[x.Worker]
		paired := slices.ContainsFunc(v.Votes, func(y Vote) bool { return y.Worker != x.Worker && Independent(x, y) })
		switch {
		case x.Own:
			name += "(own)"
		case !paired && len(v.Votes) > 1:
			name += "(late)"
		}
		voters = append(voters, name)
	}
	slices.Sort(voters)
	for i := range v.Inputs() {
		in := v.Input(i)
		inputs = append(inputs, s.word(in))
	}
	return strings.Join(voters, " ") + ": " + strings.Join(inputs, ",")
}

func (s *story) word(in InputVerdict) string {
	switch in.State {
	case Open, Disputed:
		return in.State.String()
	case Stuck:
		return "?"
	}
	for _, ts := range s.answers {
		for i, t := range ts {
			if t == in.Tuple {
				return s.written(ts, i)
			}
		}
	}
	return "unknown"
}

// written is the word that a tuple was made of.
func (s *story) written(ts []jobs.Tuple, i int) string {
	if ts[i].Outcome == jobs.Trap {
		return "!"
	}
	for _, word := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "x", "y", "z"} {
		if ts[i].Output == jobs.Sum([]byte(word)) {
			return word
		}
	}
	return ts[i].Output.String()[:6]
}
