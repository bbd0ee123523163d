package wasm

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// confine takes a child that is about to start out of the terminal's process group. macOS
// has no parent-death signal: an idle child ends when its stream does, a computing one at
// its RLIMIT_CPU.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

var errNoCPUClock = errors.New("the CPU clock of another process cannot be read")

// processCPU cannot be had here without cgo for another process: callers fall back to
// real time.
func processCPU(int) (time.Duration, error) { return 0, errNoCPUClock }
