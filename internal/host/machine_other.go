//go:build !linux && !darwin && !windows

package host

// System is how to ask this machine, of which nothing can be told.
func System(string) Signals { return Signals{} }
