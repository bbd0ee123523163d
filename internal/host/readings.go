// Package host tells what goes on at this machine: whether somebody uses it, what its other
// programs need, where its power comes from, what a transfer costs, how full, hot and short
// of memory it is, and whether it slept. It knows nothing of donating.
//
// Each thing is one [Signal], and is either known or not known for a reason that can be shown
// to a person. A [Sampler] asks them all, each at its own pace and within a deadline, so that
// one that hangs or fails takes nothing else with it.
//
// Linux is read from /proc, /sys, the message buses, the X server and the Wayland compositor.
// The readers for macOS and Windows are compiled and vetted with the rest, but no one has run
// them yet.
package host

import "time"

// A Reading is one thing about the machine: its value, or why it is not known.
type Reading[T any] struct {
	Value T
	Known bool
	Why   string // why it is not known, in words for people
}

func known[T any](v T) Reading[T] { return Reading[T]{Value: v, Known: true} }

func unknown[T any](why string) Reading[T] { return Reading[T]{Why: why} }

// Readings is all that is known of the machine at one time.
type Readings struct {
	Idle     Reading[Idle]
	Busy     Reading[Busy]
	Pressure Reading[Pressure]
	Power    Reading[Power]
	Network  Reading[Network]
	Memory   Reading[Memory]
	Disk     Reading[Disk]
	Heat     Reading[Heat]
	Clock    Reading[Clock]
}

// Idle is how long nobody has touched the machine.
type Idle struct {
	For    time.Duration // since the last input that Source saw
	Source string        // who saw it, for people: "GNOME", "X11 and terminals"
	None   bool          // there is neither desktop nor terminal: nobody can use it, and For is 0
}

// Busy is what other programs do. Programs that give way to everything else, being niced or
// of the idle class, are not among them, and neither is this process with its children.
type Busy struct {
	Others   float64  // their share of all cores' time over about 10 s, from 0 to 1
	Programs []string // the lower-case names of all that run, in order, each once
}

// Pressure is the share of the last 10 s in which something had to wait, in percent. Guests
// that wait for a core count as well, so CPU says little while they run.
type Pressure struct {
	CPU, Memory, IO float64
}

// Power is where the machine's power comes from.
type Power struct {
	OnBattery bool
	Batteries int
	Charge    float64 // of the emptiest battery, from 0 to 1; 1 without one
}

// Network is what kind of connection the machine has.
type Network struct {
	Metered bool // its owner pays by the byte, or probably does
}

// Memory is in bytes.
type Memory struct {
	Total     uint64
	Available uint64 // what programs can have without swapping
}

// Disk is the file system that the home is on, in bytes.
type Disk struct {
	Total uint64
	Free  uint64 // what this user may still write
}

// Heat is how hot the processor is.
type Heat struct {
	Celsius float64
	Sensor  string
}

// Clock is what has happened to time since the sampler began.
type Clock struct {
	Sleeps  int           // how often the machine was suspended
	Slept   time.Duration // how long, together
	Woke    time.Time     // when it last woke; zero if it never slept
	Jumps   int           // how often the wall clock was set
	LastSet time.Duration // by how much, the last time
}
