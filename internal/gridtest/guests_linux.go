package gridtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/wasm"
)

// Guest is a process in which a node runs programs, as the kernel tells of it.
type Guest struct {
	PID   int
	State byte          // 'R': it runs, or would if a processor were free; 'T': it was stopped; else it waits
	CPU   time.Duration // that it has used
}

// starting is the CPU time that a guest's process needs before its first input, and more.
const starting = 50 * time.Millisecond

// Begun reports whether it is on an input, or was: a process that only starts is stopped by nobody.
func (g Guest) Begun() bool { return g.CPU > starting }

// tick is the unit in which Linux counts the processor time of processes.
const tick = 10 * time.Millisecond

// Guests are the run children of a process, in the order of their numbers.
func Guests(t testing.TB, pid int) (guests []Guest) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		t.Skip("the children of a process are not to be had here: ", err)
	}
	for _, list := range lists {
		children, _ := os.ReadFile(list) // its thread may have ended
		for child := range strings.FieldsSeq(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline") // and so may the child
			if !bytes.Contains(line, []byte(wasm.ChildArg+"\x00run")) {
				continue
			}
			if g, ok := guestOf(child); ok {
				guests = append(guests, g)
			}
		}
	}
	slices.SortFunc(guests, func(a, b Guest) int { return a.PID - b.PID })
	return slices.CompactFunc(guests, func(a, b Guest) bool { return a.PID == b.PID })
}

// guestOf reads the state of a process from all of its threads: a program computes in any of them,
// and the first, whose state is the process's, sleeps meanwhile.
func guestOf(pid string) (g Guest, ok bool) {
	all := statOf("/proc/" + pid)
	threads, err := filepath.Glob("/proc/" + pid + "/task/*")
	if all == nil || err != nil {
		return g, false
	}
	g.State = all[0][0]
	for _, thread := range threads {
		if stat := statOf(thread); stat != nil && stat[0] == "R" {
			g.State = 'R'
		}
	}
	user, err1 := strconv.Atoi(all[11])
	system, err2 := strconv.Atoi(all[12])
	g.PID, _ = strconv.Atoi(pid)
	g.CPU = time.Duration(user+system) * tick
	return g, err1 == nil && err2 == nil
}

// statOf is what the kernel says of a process or a thread, from its state on; nil where it has ended.
func statOf(dir string) []string {
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	_, rest, named := strings.Cut(string(text), ") ")
	if fields := strings.Fields(rest); err == nil && named && len(fields) > 12 {
		return fields
	}
	return nil
}
