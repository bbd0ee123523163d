//go:build darwin || windows

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

// System is how to ask this machine. The disk is the one that the folder home is on.
func System(home string) Signals {
	return Signals{
		Idle: idleTime, Busy: (&activity{self: int32(os.Getpid())}).look, Power: power,
		Memory: memory, Clock: (&timekeeper{read: readClocks}).look,
		Disk: func(ctx context.Context) (Disk, error) {
			u, err := disk.UsageWithContext(ctx, home)
			if err != nil {
				return Disk{}, fmt.Errorf("cannot see how full the disk of %s is: %w", home, err)
			}
			return Disk{Total: u.Total, Free: u.Free}, nil
		},
	}
}

func memory(ctx context.Context) (Memory, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return Memory{}, fmt.Errorf("cannot read memory: %w", err)
	}
	return Memory{Total: m.Total, Available: m.Available}, nil
}

// activity tells others' use of the processor from what all of it did, less what gives way
// and what is this node's.
type activity struct {
	self  int32
	total float64           // time of all cores, in seconds
	busy  float64           // of it, used
	aside map[int32]float64 // what of busy the processes used that do not count as others
}

// maxProcesses is how many processes are looked at.
const maxProcesses = 16 << 10

func (a *activity) look(ctx context.Context) (Busy, error) {
	all, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return Busy{}, fmt.Errorf("cannot see what the processor does: %w", err)
	}
	processes, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return Busy{}, fmt.Errorf("cannot see other programs: %w", err)
	}
	if len(all) == 0 {
		return Busy{}, errors.New("the system does not tell what the processor does")
	}
	t := all[0]
	now := activity{self: a.self, busy: t.User + t.Nice + t.System, aside: map[int32]float64{}}
	now.total = now.busy + t.Idle
	var b Busy
	for _, p := range processes[:min(len(processes), maxProcesses)] {
		if name, err := p.NameWithContext(ctx); err == nil {
			b.Programs = append(b.Programs, strings.TrimSuffix(strings.ToLower(name), ".exe"))
		}
		if !a.standsAside(ctx, p) {
			continue
		}
		if t, err := p.TimesWithContext(ctx); err == nil {
			now.aside[p.Pid] = t.User + t.System
		}
	}
	last := *a
	*a = now
	if last.aside == nil || now.total <= last.total {
		return Busy{}, errors.New("measuring takes a few seconds")
	}
	others := now.busy - last.busy
	for pid, used := range now.aside {
		others -= max(0, used-last.aside[pid])
	}
	slices.Sort(b.Programs)
	b.Programs = slices.Compact(b.Programs)
	b.Others = min(1, max(0, others/(now.total-last.total)))
	return b, nil
}

// standsAside reports whether a process is this node's, or gives way to all others.
func (a *activity) standsAside(ctx context.Context, p *process.Process) bool {
	if p.Pid == a.self {
		return true
	}
	if parent, err := p.PpidWithContext(ctx); err == nil && parent == a.self {
		return true
	}
	nice, err := p.NiceWithContext(ctx)
	return err == nil && givesWay(nice)
}
