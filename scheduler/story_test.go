package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// keeper is one keeper of a story.
type keeper struct {
	name   string
	ledger *Ledger
	set    []string
	offset time.Duration // its clock beside the story's
	rate   float64       // how fast it runs
}

// task is what a worker has in hand for one unit.
type task struct {
	replica uint8
	grants  []*jobs.Record
	seal    *jobs.Record
	answer  string
}

// story is the state of a transcript.
type story struct {
	*world
	now     time.Time
	order   []string // of keepers
	keepers map[string]*keeper
	work    map[string]*task  // by "worker unit"
	shown   map[string]string // by "keeper unit": its line when last shown
}

func (k *keeper) now(at time.Time) time.Time {
	return epoch.Add(k.offset).Add(time.Duration(float64(at.Sub(epoch)) * k.rate))
}

// words splits a command into its plain words and its key=value words.
func words(fields []string) (plain []string, options map[string]string) {
	options = map[string]string{}
	for _, f := range fields {
		if k, v, ok := strings.Cut(f, "="); ok {
			options[k] = v
		} else {
			plain = append(plain, f)
		}
	}
	return plain, options
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func span(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (s *story) do(t *testing.T, fields []string) []string {
	a, o := words(fields)
	if a[0] == "job" {
		return s.begin(t, o)
	}
	s.fataler = t
	switch a[0] {
	case "keepers": // NAME…: the submitter places the shard on them
		s.place(a[1:])
		s.apply(s.at(o), s.sign("sam", &jobs.Placement{Keepers: s.ids(a[1:])}))
	case "placement": // NAME…: the submitter places the shard on those, too, who hold it already
		s.apply(s.at(o), s.sign("sam", &jobs.Placement{Keepers: s.ids(a[1:])}))
	case "join": // NAME…: nodes that hold nothing yet, and see set= as the keepers
		for _, name := range a[1:] {
			s.keepers[name] = &keeper{name: name, ledger: s.ledger(), rate: 1}
			s.order = append(s.order, name)
		}
	case "set": // NAME… at=: these are the shard's keepers, as those see it
		for _, k := range s.reach(o) {
			k.set = a[1:]
		}
	case "handover": // KEEPER… to=NAMES
		for _, k := range a[1:] {
			s.apply(s.at(o), s.sign(k, &jobs.Handover{Set: s.ids(strings.Split(o["to"], ","))}))
		}
	case "skew": // KEEPER offset= rate=
		k := s.keepers[a[1]]
		k.offset = span(t, o["offset"])
		k.rate, _ = strconv.ParseFloat(o["rate"], 64)
	case "tick": // DURATION
		s.now = s.now.Add(span(t, a[1]))
	case "restart": // KEEPER: leases are lost, records are not
		k := s.keepers[a[1]]
		rs := all(k.ledger)
		k.ledger = s.ledger()
		s.apply(k.ledger, rs...)
	case "merge": // KEEPER KEEPER: both end with the union
		x, y := s.keepers[a[1]].ledger, s.keepers[a[2]].ledger
		s.apply(x, all(y)...)
		s.apply(y, all(x)...)
	case "cancel", "extend": // the submitter's word on the job
		act := map[string]jobs.Act{"cancel": jobs.ActCancel, "extend": jobs.ActExtend}[a[0]]
		s.apply(s.at(o), s.sign("sam", &jobs.Control{Number: uint32(number(t, o["number"])), Act: act, Expires: epoch.Add(48 * time.Hour).Unix()}))
	default:
		return s.doWork(t, a, o)
	}
	return nil
}

func (s *story) begin(t *testing.T, o map[string]string) []string {
	p := standard(1, 1)
	for k, v := range o {
		switch k {
		case "level":
			p.level, _ = jobs.ParseLevel(v)
			p.votes = uint8(p.level)
		case "units":
			p.units = number(t, v)
		case "inputs":
			p.inputs = number(t, v)
		case "lease":
			p.lease = span(t, v)
		case "trust":
			p.trust = strings.Split(v, ",")
		default:
			t.Fatalf("job %s=", k)
		}
	}
	*s = story{
		world: newWorld(t, p), now: epoch,
		keepers: map[string]*keeper{}, work: map[string]*task{}, shown: map[string]string{},
	}
	return nil
}

func (s *story) place(names []string) {
	for _, name := range names {
		s.keepers[name] = &keeper{name: name, ledger: s.ledger(), set: names, rate: 1}
		s.order = append(s.order, name)
	}
}

// reach are the keepers that a command speaks with: those of at=, or all.
func (s *story) reach(o map[string]string) (out []*keeper) {
	names := s.order
	if at, ok := o["at"]; ok {
		names = strings.Split(at, ",")
	}
	for _, name := range names {
		out = append(out, s.keepers[name])
	}
	return out
}

// at gives the ledgers that a command speaks with to apply.
func (s *story) at(o map[string]string) []*Ledger {
	var out []*Ledger
	for _, k := range s.reach(o) {
		out = append(out, k.ledger)
	}
	return out
}

func (s *story) apply(ls any, rs ...*jobs.Record) {
	switch ls := ls.(type) {
	case *Ledger:
		s.world.apply(ls, rs...)
	case []*Ledger:
		for _, l := range ls {
			s.world.apply(l, rs...)
		}
	}
}

// doWork does what workers do. Its commands name a worker and a unit.
func (s *story) doWork(t *testing.T, a []string, o map[string]string) []string {
	worker := a[1]
	unit, replica := s.replicaOf(t, a[2])
	key := worker + " " + strconv.Itoa(unit)
	if s.work[key] == nil {
		s.work[key] = &task{}
	}
	w := s.work[key]
	switch a[0] {
	case "claim": // WORKER UNIT/REPLICA
		w.replica = replica
		return s.claim(w, worker, jobs.Hold{Unit: uint16(unit), Replica: replica}, o)
	case "renew": // WORKER UNIT/REPLICA
		return s.renew(worker, jobs.Hold{Unit: uint16(unit), Replica: replica}, o)
	case "release": // WORKER UNIT/REPLICA
		for _, l := range s.at(o) {
			l.Release(s.node(worker).ID(), []jobs.Hold{{Unit: uint16(unit), Replica: replica}})
		}
	case "seal": // WORKER UNIT ANSWER [grants=none]
		if o["grants"] == "none" {
			w.grants = nil
		}
		w.answer = a[3]
		w.seal = s.seal(worker, unit, w.replica, w.answer, w.grants...)
		for _, k := range s.reach(o) {
			s.apply(k.ledger, append(slices.Clone(w.grants), w.seal)...)
		}
	case "copyseal": // WORKER UNIT of=NEIGHBOUR: signs the neighbour's commitment as its own
		theirs := s.work[o["of"]+" "+a[2]].seal.Body.(*jobs.Seal)
		w.seal = s.sign(worker, &jobs.Seal{Unit: theirs.Unit, Replica: w.replica, Commitment: theirs.Commitment, Grants: idsOf(w.grants)})
		s.apply(s.at(o), append(slices.Clone(w.grants), w.seal)...)
	case "copyreveal": // WORKER UNIT of=NEIGHBOUR: signs the neighbour's answer as its own
		theirs := s.work[o["of"]+" "+a[2]]
		b := *s.reveal(o["of"], unit, theirs.replica, theirs.answer).Body.(*jobs.Reveal)
		b.Replica = w.replica
		s.apply(s.at(o), s.sign(worker, &b))
	case "reveal": // WORKER UNIT [blind]: names the seals it can read, unless blind
		return s.open(w, worker, unit, len(a) > 3, o)
	case "run": // SUBMITTER UNIT ANSWER: its own word needs no seal
		s.apply(s.at(o), s.reveal(worker, unit, WholeUnit, a[3]))
	default:
		t.Fatalf("unknown command %q", a)
	}
	return nil
}

func (s *story) replicaOf(t *testing.T, text string) (int, uint8) {
	u, r, ok := strings.Cut(text, "/")
	switch {
	case !ok:
		return number(t, u), 0
	case r == "whole":
		return number(t, u), WholeUnit
	}
	return number(t, u), uint8(number(t, r))
}

func (s *story) claim(w *task, worker string, h jobs.Hold, o map[string]string) []string {
	var yes, no []string
	w.grants = nil
	for _, k := range s.reach(o) {
		if len(k.ledger.Claim(k.now(s.now), anyone(s.node(worker).ID()), []jobs.Hold{h})) == 0 {
			no = append(no, k.name)
			continue
		}
		yes = append(yes, k.name)
		w.grants = append(w.grants, s.grant(k.name, worker, k.set, h))
	}
	return []string{fmt.Sprintf("%s %s: granted by %s, refused by %s", worker, holdName(h), list(yes), list(no))}
}

func holdName(h jobs.Hold) string {
	if h.Replica == WholeUnit {
		return fmt.Sprintf("%d/whole", h.Unit)
	}
	return fmt.Sprintf("%d/%d", h.Unit, h.Replica)
}

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, " ")
}

func (s *story) renew(worker string, h jobs.Hold, o map[string]string) []string {
	var lost []string
	for _, k := range s.reach(o) {
		if len(k.ledger.Renew(k.now(s.now), anyone(s.node(worker).ID()), []jobs.Hold{h})) > 0 {
			lost = append(lost, k.name)
		}
	}
	return []string{fmt.Sprintf("%s %s: lost at %s", worker, holdName(h), list(lost))}
}

func (s *story) open(w *task, worker string, unit int, blind bool, o map[string]string) (told []string) {
	ks := s.reach(o)
	seals, complete := ks[0].ledger.RoundComplete(unit, w.replica)
	if !complete {
		told = []string{"the round's seals are not in"}
	}
	if blind {
		seals = nil
	}
	r := s.reveal(worker, unit, w.replica, w.answer, seals...)
	s.apply(s.at(o), r)
	return told
}
