package world

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	contract "github.com/shoalgrid/shoal/jobs/disk"
)

var (
	errFull = errors.New("no space left on device")
	errIO   = errors.New("input/output error")
)

// disk is a node's disk. What is put is there when Put returns; a crash before leaves all or
// nothing of it, and so does an error.
type disk struct {
	n       *node
	groups  map[string]map[string][]byte // by the first bytes of the key
	full    bool
	locked  bool // nothing can be written or removed
	drags   bool // a write takes seconds
	broken  bool
	sick    bool     // was full or broken once
	pending []func() // writes under way, that a crash may still let through
}

const groupLen = 1 + 1 + 32 + 4 // table, prefix, job, shard

func newDisk(n *node) *disk { return &disk{n: n, groups: map[string]map[string][]byte{}} }

// crash decides about the writes that were under way.
func (d *disk) crash() {
	for _, write := range d.pending {
		if d.n.w.draw(2) == 0 {
			write()
		}
	}
	d.pending = nil
}

// table is one table of the disk, in the hands of one process.
type table struct {
	p    *process
	d    *disk
	name byte
}

func (p *process) table(name byte) table { return table{p, p.disk, name} }

func (t table) key(k []byte) (group, key string) {
	key = string(append([]byte{t.name}, k...))
	return key[:min(len(key), groupLen)], key
}

// Get implements disk.Disk.
func (t table) Get(k []byte) ([]byte, bool, error) {
	t.p.m.Check()
	if t.unreadable() {
		return nil, false, errIO
	}
	g, key := t.key(k)
	v, ok := t.d.groups[g][key]
	return v, ok, nil
}

// unreadable reports whether a read fails: one of ten does, on a disk that fails.
func (t table) unreadable() bool {
	w := t.p.w
	if !t.d.broken || w.healed || w.draw(10) > 0 {
		return false
	}
	w.report.Faults++
	return true
}

// write has a change made after the time that a disk takes, and fails as disks do.
func (t table) write(what string, change func()) error {
	p, w := t.p, t.p.w
	p.m.Check()
	w.maybeCrash(p.node)
	p.m.Check()
	done := false
	once := func() {
		if !done {
			done = true
			w.step(what, []byte(p.name), []byte{t.name})
			change()
		}
	}
	if t.d.locked || t.d.full && what == "put" {
		w.report.Faults++
		w.seen.lost(p.node) // what it cannot keep it cannot say
		return errFull
	}
	if t.d.broken && !w.healed && w.draw(2) == 0 {
		w.report.Faults++
		w.seen.lost(p.node)
		if w.draw(2) == 0 {
			once() // it is there, and nobody can know
		}
		return errIO
	}
	t.d.pending = append(t.d.pending, once)
	if w.opt.Defect == AckEarly && t.name == 'k' {
		d := w.between(time.Second, 20*time.Second)
		w.loop.At(d, func() {
			if p.disk == t.d && !p.m.Dead() {
				once()
			}
		})
		return nil
	}
	takes := w.between(100*time.Microsecond, w.fate.fsync)
	if t.d.drags {
		takes += w.between(time.Second, 10*time.Second)
	}
	_ = strand.Sleep(context.Background(), p.m, takes)
	p.m.Check()
	once()
	t.d.pending = t.d.pending[1:] // any one: those that are done do nothing
	w.maybeCrash(p.node)
	p.m.Check()
	return nil
}

// Put implements disk.Disk.
func (t table) Put(_ context.Context, pairs ...contract.Pair) error {
	return t.write("put", func() {
		for _, p := range pairs {
			for _, as := range t.p.w.opt.Defect.pairs(t, p) {
				t.set(as.Key, bytes.Clone(as.Value))
			}
		}
	})
}

func (t table) set(k, value []byte) {
	g, key := t.key(k)
	if t.d.groups[g] == nil {
		t.d.groups[g] = map[string][]byte{}
	}
	old, had := t.d.groups[g][key]
	t.d.groups[g][key] = value
	t.p.w.step("pair", k, digest(value))
	t.p.w.seen.stored(t, k, value, old, had)
}

// Delete implements disk.Disk.
func (t table) Delete(_ context.Context, keys ...[]byte) error {
	return t.write("delete", func() {
		for _, k := range keys {
			t.remove(k)
		}
	})
}

func (t table) remove(k []byte) {
	g, key := t.key(k)
	if _, ok := t.d.groups[g][key]; !ok {
		return
	}
	delete(t.d.groups[g], key)
	if len(t.d.groups[g]) == 0 {
		delete(t.d.groups, g)
	}
	t.p.w.seen.deleted(t, k)
}

// Scan implements disk.Disk.
func (t table) Scan(prefix []byte, f func(key, value []byte) error) error {
	t.p.m.Check()
	if t.p.w.opt.Defect == CannotRestart && t.p.runs > 1 {
		return errIO
	}
	if t.unreadable() {
		return errIO
	}
	for _, key := range t.d.keys(t.name, prefix) {
		if v, ok := t.d.groups[key[:min(len(key), groupLen)]][key]; ok {
			if err := f([]byte(key[1:]), v); err != nil {
				return err
			}
		}
	}
	return nil
}

// keys are the keys of a table that begin with prefix, in order.
func (d *disk) keys(name byte, prefix []byte) (keys []string) {
	p := string(append([]byte{name}, prefix...))
	for group, pairs := range d.groups {
		if !strings.HasPrefix(group, p) && !strings.HasPrefix(p, group) {
			continue
		}
		for key := range pairs {
			if strings.HasPrefix(key, p) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// DeletePrefix implements disk.Disk.
func (t table) DeletePrefix(_ context.Context, prefix []byte) error {
	prefix = bytes.Clone(prefix)
	return t.write("delete", func() {
		for _, key := range t.d.keys(t.name, prefix) {
			t.remove([]byte(key[1:]))
		}
	})
}
