package node

import (
	"log/slog"
	"time"

	"github.com/shoalgrid/shoal/internal/host"
	"github.com/shoalgrid/shoal/worker/wishes"
)

// machine is the one that the node runs on, in the words of the wishes.
type machine struct{ *host.Sampler }

// thisMachine asks the one that the node runs on; the home says of which disk.
func thisMachine(home string, log *slog.Logger) Machine {
	return machine{host.New(host.System(home), log)}
}

// Readings implements Machine.
func (m machine) Readings() wishes.Readings {
	r := m.Sampler.Readings()
	idle := known(r.Idle, func(i host.Idle) time.Duration { return i.For })
	if idle.OK && r.Idle.Value.None {
		idle = wishes.Unknown[time.Duration]("no input device")
	}
	return wishes.Readings{
		Idle:        idle,
		Others:      known(r.Busy, func(b host.Busy) float64 { return b.Others }),
		Programs:    known(r.Busy, func(b host.Busy) []string { return b.Programs }),
		OnBattery:   known(r.Power, func(p host.Power) bool { return p.OnBattery }),
		Metered:     known(r.Network, func(n host.Network) bool { return n.Metered }),
		DiskFree:    known(r.Disk, func(d host.Disk) uint64 { return d.Free }),
		DiskTotal:   known(r.Disk, func(d host.Disk) uint64 { return d.Total }),
		MemoryFree:  known(r.Memory, func(m host.Memory) uint64 { return m.Available }),
		MemoryTotal: known(r.Memory, func(m host.Memory) uint64 { return m.Total }),
		Temperature: known(r.Heat, func(h host.Heat) float64 { return h.Celsius }),
	}
}

// known is a reading, or a part of one, in the words of the wishes.
func known[T, V any](r host.Reading[T], part func(T) V) wishes.Known[V] {
	if !r.Known {
		return wishes.Unknown[V](r.Why)
	}
	return wishes.Know(part(r.Value))
}
