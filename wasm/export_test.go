package wasm

import "time"

// LimitCompile changes what a compilation may cost, for tests of what happens then.
func LimitCompile(s *Sandbox, cpu time.Duration, memory uint64) {
	s.compileCPU, s.compileMemory = cpu, memory
}
