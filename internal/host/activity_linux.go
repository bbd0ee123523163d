package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// activity tells others' use of the processor from what all of it did, less what gave way and
// what was this node's. The kernel counts a niced program's own code apart; its work for
// one, and all of a program of the idle class, is found by walking the processes. Those that
// begin and end between two looks are missed, and count as others'.
type activity struct {
	*linux
	buf  []byte
	last *census
	past []stretch // the last ones, for the average
}

// census is one look at all processes.
type census struct {
	total   uint64            // time of all cores, in ticks
	busy    uint64            // of it, used by programs that were not niced
	polite  map[procID]uint64 // what of busy each process used that gives way
	own     uint64            // what of busy this node's processes used, the ended ones too
	running []string
}

// procID is a process for ever: numbers are used again.
type procID struct{ pid, start uint64 }

// stretch is the time between two looks, in ticks.
type stretch struct{ others, total uint64 }

// stretches is how many make an average: about ten seconds.
const stretches = 2

func newActivity(l *linux) *activity { return &activity{linux: l, buf: make([]byte, maxLine)} }

func (a *activity) look(context.Context) (Busy, error) {
	now, err := a.count()
	if err != nil {
		return Busy{}, err
	}
	return a.judge(now)
}

// judge compares a look with the ones before.
func (a *activity) judge(now *census) (Busy, error) {
	last := a.last
	a.last = now
	if last == nil || now.total <= last.total {
		a.past = nil
		return Busy{}, errors.New("measuring takes a few seconds")
	}
	s := stretch{total: now.total - last.total, others: less(now.busy, last.busy)}
	s.others = less(s.others, less(now.own, last.own))
	for id, used := range now.polite {
		s.others = less(s.others, less(used, last.polite[id]))
	}
	a.past = append(a.past, s)
	a.past = a.past[max(0, len(a.past)-stretches):]
	var sum stretch
	for _, s := range a.past {
		sum.others += s.others
		sum.total += s.total
	}
	return Busy{Others: min(1, float64(sum.others)/float64(sum.total)), Programs: now.running}, nil
}

// less is a-b, and 0 where a counter went back.
func less(a, b uint64) uint64 { return a - min(a, b) }

// count looks at the processors and every process.
func (a *activity) count() (*census, error) {
	c := &census{polite: map[procID]uint64{}}
	if err := a.processors(c); err != nil {
		return nil, err
	}
	dir, err := os.Open(filepath.Join(a.root, "proc"))
	if err != nil {
		return nil, fmt.Errorf("cannot see other programs: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxProcesses)
	if err != nil {
		return nil, fmt.Errorf("cannot see other programs: %w", err)
	}
	programs := map[string]bool{}
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		p, ok := a.process(name)
		if !ok {
			continue // it has ended
		}
		programs[a.program(name, p.name)] = true
		c.add(&p, uint64(a.self))
	}
	for name := range programs {
		c.running = append(c.running, name)
	}
	slices.Sort(c.running)
	return c, nil
}

// maxProcesses is how many processes are looked at. More would cost more than they tell.
const maxProcesses = 16 << 10

// add counts a process that gives way, or is this node's or a child of it.
func (c *census) add(p *process, self uint64) {
	counted := p.system
	if p.nice <= 0 {
		counted += p.user
	}
	switch {
	case p.id.pid == self:
		c.own += counted + p.childrenSystem
	case p.parent == self:
		c.own += counted
	case p.nice > 0 || p.class == schedIdle:
		c.polite[p.id] = counted
	}
}

// processors reads what all of them did, from the first line of /proc/stat.
func (a *activity) processors(c *census) error {
	text, err := a.read(a.buf, "proc/stat")
	if err != nil {
		return fmt.Errorf("cannot see what the processor does: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 8 || fields[0] != "cpu" {
		return errors.New("/proc/stat does not tell what the processor does")
	}
	// user nice system idle iowait irq softirq steal; guests are in user and nice already
	for i, f := range fields[1:min(len(fields), 9)] {
		ticks, err := strconv.ParseUint(f, 10, 62)
		if err != nil {
			return fmt.Errorf("/proc/stat says %q", f)
		}
		c.total += ticks
		if i == 0 || i == 2 {
			c.busy += ticks
		}
	}
	return nil
}

// schedIdle is the scheduling class of what runs only when nothing else wants to.
const schedIdle = 5

// process is what /proc/PID/stat says of one, times in ticks.
type process struct {
	id                           procID
	name                         string // at most 15 bytes of it
	parent                       uint64
	user, system, childrenSystem uint64
	nice, class                  int64
}

func (a *activity) process(pid string) (process, bool) {
	text, err := a.read(a.buf, "proc", pid, "stat")
	if err != nil {
		return process{}, false
	}
	return parseProcess(text)
}

// parseProcess reads a line of /proc/PID/stat. A program's name may hold anything, brackets
// and spaces too, so it ends at the last bracket.
func parseProcess(text []byte) (p process, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return p, false
	}
	pid, err := strconv.ParseUint(string(bytes.TrimSpace(text[:open])), 10, 32)
	if err != nil {
		return p, false
	}
	p.id.pid, p.name = pid, string(text[open+1:end])
	// By their numbers in proc(5); the first after the name is 3.
	n := 2
	ok = true
	number := func(f []byte, to *uint64) {
		v, err := strconv.ParseUint(string(f), 10, 62)
		*to, ok = v, ok && err == nil
	}
	signed := func(f []byte, to *int64) {
		v, err := strconv.ParseInt(string(f), 10, 32)
		*to, ok = v, ok && err == nil
	}
	for f := range bytes.FieldsSeq(text[end+1:]) {
		n++
		switch n {
		case 4:
			number(f, &p.parent)
		case 14:
			number(f, &p.user)
		case 15:
			number(f, &p.system)
		case 17:
			number(f, &p.childrenSystem)
		case 19:
			signed(f, &p.nice)
		case 22:
			number(f, &p.id.start)
		case 41:
			signed(f, &p.class)
		}
	}
	return p, ok && n >= 41
}

// commLength is where the kernel cuts a program's name.
const commLength = 15

// program is a program's whole name in lower case, for what a person calls it.
func (a *activity) program(pid, name string) string {
	if len(name) == commLength {
		if text, err := a.read(a.buf, "proc", pid, "cmdline"); err == nil {
			first, _, _ := bytes.Cut(text, []byte{0})
			if whole := filepath.Base(string(first)); strings.HasPrefix(whole, name) {
				name = whole
			}
		}
	}
	return strings.ToLower(name)
}
