package world

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// later draws what joined the menu after the first seeds had found something.
func (f *fate) later(draw func(int) int, opt Options) {
	if opt.Early {
		return
	}
	asked := vice(slices.Index(viceNames[:], opt.Vice) + 1)
	f.cheat = opt.Liars > 0 && (draw(2) == 0 || asked > cheats)
	if opt.Calm {
		return
	}
	if draw(4) == 0 {
		f.crowd = scheduler.Crowd + draw(100)
	}
	if draw(2) == 0 {
		f.kinds = append(f.kinds, (*world).rot)
	}
	if f.releases = draw(3) == 0; f.releases {
		f.kinds = append(f.kinds, (*world).upgrade)
	}
}

// rot flips bits of records on the disk of a keeper, which finds out when it reads them: after it was
// started again. Only what another honest keeper has rots: one copy is what is promised to survive.
func (w *world) rot() {
	n := w.some()
	keys := n.disk.keys('k', []byte{'r'})
	if n.role.submits || len(keys) == 0 {
		return
	}
	hurt := 0
	for range 1 + w.draw(3) {
		key := keys[w.draw(len(keys))]
		ref := refIn([]byte(key[1:]))
		group := n.disk.groups[key[:groupLen]]
		if len(group[key]) == 0 || !w.elsewhere(n, ref, w.seen.batch(group[key])) {
			continue
		}
		value := bytes.Clone(group[key])
		value[w.draw(len(value))] ^= 1 << w.draw(8)
		group[key] = value
		w.seen.reread(n.disk, ref)
		hurt++
	}
	if hurt > 0 {
		w.fault("%d records on the disk of %s have rotted", hurt, n.name)
		n.disk.sick = true
		w.crash(n, w.between(100*time.Millisecond, time.Minute))
	}
}

// refIn is the shard that a key of a keeper's table is about.
func refIn(key []byte) protocol.ShardRef {
	return protocol.ShardRef{Job: jobs.JobID(key[1:33]), Shard: binary.BigEndian.Uint32(key[33:])}
}

// elsewhere reports whether some other honest node has all of some records of a shard.
func (w *world) elsewhere(but *node, ref protocol.ShardRef, rs []*jobs.Record) bool {
	return slices.ContainsFunc(w.nodes, func(n *node) bool {
		has := w.seen.kept[n.disk][ref]
		return n != but && n.honest() && !slices.ContainsFunc(rs, func(r *jobs.Record) bool { return has[r.ID] == nil })
	})
}

// reread looks at a shard's records on a disk anew: what lies under another name than its digest
// counts as gone, and with it what it said.
func (s *witness) reread(d *disk, ref protocol.ShardRef) {
	delete(s.kept[d], ref)
	delete(s.said, d)
	delete(s.guilty, d)
	for _, key := range d.keys('k', []byte{'r'}) {
		value, of := d.groups[key[:groupLen]][key], refIn([]byte(key[1:]))
		if !sound([]byte(key), value) {
			continue
		}
		for _, r := range s.batch(value) {
			if of == ref {
				inner(s.kept[d], ref)[r.ID] = r
			}
			s.weigh(table{d: d}, of, r)
		}
	}
}

// sound reports whether a keeper's records are those that its disk's key names.
func sound(key, value []byte) bool {
	sum := jobs.Sum(value)
	return bytes.HasSuffix(key, sum[:16])
}

// A release of the program knows some profiles: the new one the old ones', too.
func (n *node) profiles() []jobs.Profile {
	if n.newer {
		return []jobs.Profile{0, 1}
	}
	return []jobs.Profile{0}
}

// upgrade starts a node again with the other release: the newer, or the one before.
func (w *world) upgrade() {
	n := w.some()
	if n.role.submits || n.p == nil {
		return
	}
	n.newer = !n.newer
	w.fault("%s has another release: it knows %d profiles", n.name, len(n.profiles()))
	n.kill()
	w.loop.At(w.between(time.Second, 10*time.Second), n.start)
}

// modernise ends all difference of releases: in the end everybody has the newer one.
func (w *world) modernise() {
	for _, n := range w.nodes {
		if w.fate.releases && !n.newer {
			n.newer = true
			n.kill()
		}
	}
}
