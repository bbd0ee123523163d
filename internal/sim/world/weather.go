package world

import (
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
)

// What else goes wrong: slow ways, slow and stubborn disks, clocks and processes that stand still.

// clog holds back what one node sends and is sent; then all of it comes at once.
func (w *world) clog() {
	n, d := w.some(), w.between(time.Second, time.Minute)
	w.fault("what %s sends and is sent is held back for %s", n.name, d.Round(time.Second))
	n.clog = w.loop.Elapsed() + d
}

// crawl makes one node's way into the network a hundred times slower.
func (w *world) crawl() {
	n, d := w.some(), w.between(10*time.Second, 3*time.Minute)
	w.fault("%s is slow to reach for %s", n.name, d.Round(time.Second))
	n.crawl = true
	w.loop.At(d, func() { n.crawl = false })
}

// suspend lets a machine sleep, its steady clock too.
func (w *world) suspend() {
	w.still((*strand.Machine).Suspend, "%s is suspended for %s", 10*time.Minute)
}

// freeze stops a process, as SIGSTOP does: its clocks go on.
func (w *world) freeze() {
	w.still((*strand.Machine).Freeze, "the process of %s stands still for %s", 20*time.Minute)
}

// stall lets a steady clock stand while its machine works.
func (w *world) stall() {
	w.still((*strand.Machine).Stall, "the steady clock of %s stands for %s", 3*time.Minute)
}

// still stops something of one node for a while.
func (w *world) still(stop func(*strand.Machine), what string, most time.Duration) {
	n := w.some()
	if n.p == nil {
		return
	}
	m, d := n.p.m, w.between(time.Second, most)
	w.fault(what, n.name, d.Round(time.Second))
	stop(m)
	w.loop.At(d, func() { m.Resume(); w.seen.lost(n) })
	w.seen.lost(n)
}

// lock makes a disk read-only.
func (w *world) lock() {
	n, d := w.some(), w.between(time.Second, 3*time.Minute)
	w.fault("the disk of %s can only be read for %s", n.name, d.Round(time.Second))
	n.disk.locked, n.disk.sick = true, true
	disk := n.disk
	w.loop.At(d, func() { disk.locked = false })
}

// drag makes a disk slow: a write takes seconds.
func (w *world) drag() {
	n, d := w.some(), w.between(10*time.Second, 3*time.Minute)
	w.fault("the disk of %s is slow for %s", n.name, d.Round(time.Second))
	n.disk.drags = true
	disk := n.disk
	w.loop.At(d, func() { disk.drags = false })
}

// blackout kills every node but one; they come back one by one.
func (w *world) blackout() {
	left := w.some()
	w.fault("the power fails everywhere but at %s", left.name)
	for _, n := range w.nodes {
		if n != left && n.p != nil {
			n.kill()
			w.loop.At(w.between(time.Second, 2*time.Minute), n.start)
		}
	}
}

// roam gives a node another address, in another network.
func (w *world) roam() {
	n := w.some()
	n.subnet = w.subnet(len(w.nodes) + w.draw(len(w.nodes)))
	w.fault("%s has another address", n.name)
	w.sever(&cut{from: map[*node]bool{n: true}, to: w.all(), both: true}, w.between(100*time.Millisecond, 5*time.Second))
}

// misplace loses a blob that a donor or keeper had: the entry of its folder is gone. A submitter's
// disk stays: the promise holds while it does.
func (w *world) misplace() {
	n := w.some()
	if n.role.submits || len(n.blobs.m) == 0 {
		return
	}
	names := make([]string, 0, len(n.blobs.m))
	for d := range n.blobs.m {
		names = append(names, string(d[:]))
	}
	slices.Sort(names)
	d := jobs.Digest([]byte(names[w.draw(len(names))]))
	w.fault("%s has lost a blob", n.name)
	delete(n.blobs.m, d)
}

// stutter lets a node forget whom it knows and wake up for nothing.
func (w *world) stutter() {
	n := w.some()
	w.fault("%s begins anew with whom it knows", n.name)
	if p := n.p; p != nil && p.client != nil {
		p.client.ForgetAll()
		p.changed.Raise()
		p.board.changed.Raise()
	}
}
