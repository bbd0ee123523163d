// Package wishes decides how much of a machine its owner gives away at this moment: what the
// owner wishes, what is read from the machine, and what was decided before go in; how many
// guests may run, with how much memory, and why not more, comes out. It is pure: the hands
// that read the machine are internal/host, those that act are the worker's and internal/node's.
package wishes

import "time"

// Known is a reading that may be missing: then Why says why, for people.
type Known[T any] struct {
	Value T
	OK    bool
	Why   string // "no input device"; only where not OK
}

// Know is a reading that was had.
func Know[T any](v T) Known[T] { return Known[T]{Value: v, OK: true} }

// Unknown is a reading that could not be had.
func Unknown[T any](why string) Known[T] { return Known[T]{Why: why} }

// or is the reading, or what stands in for it where it is missing.
func (k Known[T]) or(v T) T {
	if k.OK {
		return k.Value
	}
	return v
}

// Readings are what the machine says of itself now. The zero value knows nothing.
type Readings struct {
	// Idle is for how long nobody has touched keyboard, pointer or terminal.
	Idle Known[time.Duration]
	// Others is the CPU that other programs use, as a share of all cores from 0 to 1, over the
	// last 10 s. Guests, this node, and what runs niced or in the idle class are not others.
	Others Known[float64]
	// OnBattery is whether the machine runs on its battery.
	OnBattery Known[bool]
	// Metered is whether the way to the internet costs by the byte.
	Metered Known[bool]
	// DiskFree and DiskTotal are the bytes of the file system that the home is on.
	DiskFree, DiskTotal Known[uint64]
	// MemoryFree is the bytes that programs could still get without swapping (Linux:
	// MemAvailable), MemoryTotal all there are.
	MemoryFree, MemoryTotal Known[uint64]
	// Temperature is the hottest processor sensor, in °C.
	Temperature Known[float64]
	// Programs are the names of the programs that run, as their files are named, without
	// folder and ".exe", each once, in no order.
	Programs Known[[]string]
	// Cores is how many there are.
	Cores int
}
