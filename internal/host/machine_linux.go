package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// linux reads a Linux machine. Its root is "/" but in tests.
type linux struct {
	root string
	home string // a folder on the disk to watch
	self int    // process id
}

// System is how to ask this machine. The disk is the one that the folder home is on.
func System(home string) Signals {
	l := &linux{root: "/", home: home, self: os.Getpid()}
	system := newBus(systemBusAddress)
	session := newBus(sessionBusAddress)
	idle := newIdleChain(l, system, session)
	return Signals{
		Idle: idle.look, Busy: newActivity(l).look, Pressure: l.pressure, Power: l.power, Network: networkManager{system}.look,
		Memory: l.memory, Disk: l.disk, Heat: l.heat, Clock: (&timekeeper{read: readClocks}).look,
		Close: func() { idle.close(); system.close(); session.close() },
	}
}

// maxLine bounds what is read of a small file.
const maxLine = 4096

// read reads a file of the kernel's, at most as much of it as fits.
func (l *linux) read(buf []byte, path ...string) ([]byte, error) {
	name := filepath.Join(l.root, filepath.Join(path...))
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		}
		if m == 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}

// line is what a file of one line says, "" where it cannot be read.
func (l *linux) line(path ...string) string {
	text, err := l.read(make([]byte, maxLine), path...)
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(text))
}

func (l *linux) memory(context.Context) (Memory, error) {
	text, err := l.read(make([]byte, 2*maxLine), "proc/meminfo")
	if err != nil {
		return Memory{}, fmt.Errorf("cannot read memory: %w", err)
	}
	var m Memory
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kb, err := strconv.ParseUint(fields[1], 10, 54)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			m.Total = kb << 10
		case "MemAvailable:":
			m.Available = kb << 10
		}
	}
	if m.Total == 0 || m.Available == 0 {
		return Memory{}, errors.New("/proc/meminfo does not tell what is available")
	}
	return m, nil
}

// pressure reads the kernel's pressure stall information.
func (l *linux) pressure(context.Context) (Pressure, error) {
	var p Pressure
	for _, one := range []struct {
		name string
		to   *float64
	}{{"cpu", &p.CPU}, {"memory", &p.Memory}, {"io", &p.IO}} {
		text := l.line("proc/pressure", one.name)
		fields := strings.Fields(text)
		if len(fields) < 2 || fields[0] != "some" {
			return Pressure{}, errors.New("this kernel does not tell of pressure")
		}
		percent, err := strconv.ParseFloat(strings.TrimPrefix(fields[1], "avg10="), 64)
		if err != nil || !(percent >= 0 && percent <= 100) {
			return Pressure{}, fmt.Errorf("pressure of %s is %q", one.name, fields[1])
		}
		*one.to = percent
	}
	return p, nil
}

func (l *linux) disk(context.Context) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(l.home, &s); err != nil {
		return Disk{}, fmt.Errorf("cannot see how full the disk of %s is: %w", l.home, err)
	}
	block := uint64(s.Frsize)
	return Disk{Total: s.Blocks * block, Free: s.Bavail * block}, nil
}
