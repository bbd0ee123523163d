package wishes

import "time"

// When says at which times a donor works.
type When string

// The values of When.
const (
	Idle   When = "idle"   // while nobody uses the machine, by hand or with other programs
	Always When = "always" // also beside its user, on fewer cores
	Never  When = "never"
)

// Space is a part of a disk: a share of it, or bytes.
type Space struct {
	Percent float64 // of the whole; 0 where Bytes counts
	Bytes   uint64
}

// of is the space in bytes on a disk of that size.
func (s Space) of(total uint64) uint64 {
	if s.Percent > 0 {
		return uint64(s.Percent / 100 * float64(total))
	}
	return s.Bytes
}

// Wishes are what the owner of a machine grants. Default says what nobody has said otherwise.
type Wishes struct {
	When      When
	IdleAfter time.Duration // without input, and the machine counts as not in use
	Hours     Hours         // of the week in which to work

	Cores       int    // while the machine is idle; 0 is all
	CoresInUse  int    // beside its user, with Always; 0 is half of them
	Memory      uint64 // bytes for all guests, while idle; 0 is half of the machine's
	MemoryInUse uint64 // the same beside its user; 0 is a quarter

	DiskFree Space // is left free

	OnBattery   bool
	OthersCPU   float64  // share from 0 to 1 of all cores that others may use before guests stop; 1 is any
	PauseFor    []string // programs beside which nothing runs
	Metered     bool     // large blobs move also where that costs
	Temperature float64  // °C from which slots are taken away; 0 is any

	Pause Pause
}

// Pause is what the owner asked for by hand.
type Pause struct {
	On    bool
	Until time.Time // zero: until the owner says so
}

// Default is polite: only what is idle, on mains, half of the memory, a tenth of the disk free.
func Default() Wishes {
	return Wishes{
		When: Idle, IdleAfter: 3 * time.Minute, OthersCPU: 0.25, Temperature: 90, DiskFree: Space{Percent: 10},
	}
}

// Most is how many guests may run at a time, with how much memory, while nobody uses a machine
// of so many cores and so much memory.
func (w *Wishes) Most(cores int, memory Known[uint64]) (slots int, bytes uint64) {
	return w.cores(cores, false), w.memory(memory, false)
}

func (w *Wishes) cores(total int, inUse bool) int {
	total = max(total, 1)
	idle := total
	if w.Cores > 0 {
		idle = w.Cores
	}
	switch {
	case !inUse:
		return idle
	case w.CoresInUse > 0:
		return min(idle, w.CoresInUse)
	}
	return min(idle, max(total/2, 1))
}

// unknownMemory stands in for a machine's memory that cannot be read.
const unknownMemory = 2 << 30

func (w *Wishes) memory(total Known[uint64], inUse bool) uint64 {
	all := total.or(unknownMemory)
	idle := all / 2
	if w.Memory > 0 {
		idle = w.Memory
	}
	switch {
	case !inUse:
		return idle
	case w.MemoryInUse > 0:
		return min(idle, w.MemoryInUse)
	}
	return min(idle, all/4)
}
