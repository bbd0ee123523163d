package world

import (
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler"
)

// standing holds I13 of what keepers remember of workers: nobody honest is convicted, whatever liars
// and submitters that cheat brought about; and where nothing fails nobody honest is barred for a while
// either, since none of them is ever silent.
func (w *world) standing() {
	for _, keeper := range w.nodes {
		if !keeper.honest() {
			continue
		}
		for _, key := range keeper.disk.keys('k', []byte{'w'}) {
			n := w.byID[jobs.NodeID([]byte(key[2:]))]
			record := keeper.disk.groups[key[:min(len(key), groupLen)]][key]
			if n != nil && n.honest() && n.lives == 0 && w.shutOut(n.ID(), record) {
				w.broke("I13", "%s lets %s have nothing, which is honest", keeper.name, n.name)
			}
		}
	}
}

// shutOut reports whether a worker of whom a keeper remembers that gets nothing: now where nothing
// fails, else ever again, which is when it was convicted.
func (w *world) shutOut(worker jobs.NodeID, record []byte) bool {
	now, date := time.Unix(1<<32, 0), strand.Epoch().Add(w.loop.Elapsed()).Unix()
	if !w.opt.Calm {
		date += int64(365 * 24 * time.Hour / time.Second)
	}
	roll := scheduler.NewRoll()
	if roll.Restore(now, date, worker, record) != nil {
		return false
	}
	_, admitted := roll.Admit(now, worker, "")
	return !admitted
}
