//go:build !unix

package prepare

import "time"

// Where processor time is not to be had, the clock must do: of a quiet machine.

func cpuTime() time.Duration      { return time.Duration(time.Now().UnixNano()) }
func childrenTime() time.Duration { return cpuTime() }
