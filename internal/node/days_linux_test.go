package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/gridtest"
	"github.com/shoalgrid/shoal/internal/node"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/worker/wishes"
)

// A day on which the plug is pulled, the battery taken out, the disk filled and the memory wanted
// by others.
func TestABadDay(t *testing.T) {
	donor, d := lending(t, map[string]string{"cores": "2"})
	running := func() bool { return donating(t, donor).State == api.DonatingOn && strings.Count(guests(t), "R") == 2 }
	why := func(prefix string) func() bool {
		return func() bool { return strings.HasPrefix(donating(t, donor).Why, prefix) }
	}
	until(t, "two guests run", running)

	d.tell(func(r *wishes.Readings) { r.OnBattery = wishes.Know(true) })
	until(t, "they stand still on battery", func() bool { return guests(t) == "TT" && why("on battery since ")() })
	d.tell(func(r *wishes.Readings) { r.OnBattery = wishes.Unknown[bool]("no battery") })
	until(t, "they go on when it has disappeared", running)

	d.tell(func(r *wishes.Readings) {
		r.DiskFree, r.DiskTotal = wishes.Know[uint64](1<<30), wishes.Know[uint64](100<<30)
	})
	until(t, "nothing new is taken", func() bool {
		return slices.ContainsFunc(donating(t, donor).Reasons, func(r string) bool {
			return strings.HasPrefix(r, "takes and keeps nothing new: less than 10.0 GiB of the disk are free since ")
		})
	})
	if states := guests(t); strings.Contains(states, "T") || states == "" {
		t.Errorf("what runs should go on beside a full disk: %q", states)
	}

	d.tell(func(r *wishes.Readings) {
		r.MemoryFree, r.MemoryTotal = wishes.Know[uint64](1<<28), wishes.Know[uint64](16<<30)
	})
	until(t, "the guests are gone, and their memory is free", func() bool { return guests(t) == "" && why("other programs need the memory since ")() })
	until(t, "their units are given back", func() bool {
		s, err := donor.Status(t.Context())
		return err == nil && len(s.Working) == 0
	})
}

// Memory that is taken back is there again at once: what no longer fits is given back.
func TestMemoryThatShrinks(t *testing.T) {
	donor, _ := lending(t, map[string]string{"cores": "2", "memory": "2 GiB"})
	until(t, "two guests run", func() bool { return strings.Count(guests(t), "R") == 2 })
	if err := donor.Donate(t.Context(), api.Donation{AllowWeakSandbox: true, Settings: map[string]string{"memory": "400 MiB"}}); err != nil {
		t.Fatal(err)
	}
	until(t, "one is left", func() bool { return guests(t) == "R" })
	if s := donating(t, donor); s.State != api.DonatingOn || s.Memory != 400<<20 {
		t.Errorf("%s with %d bytes: %s", s.State, s.Memory, s.Why)
	}
}

// A job whose every guest dies on this machine is left alone for a while, and status says so. What
// was held of it goes back at once: other machines may do better.
func TestAJobThatCrashesHere(t *testing.T) {
	donor, _ := lending(t, map[string]string{"cores": "1"})
	var s api.DonateStatus
	until(t, "the job is set aside", func() bool {
		killGuests(t)
		s = donating(t, donor)
		return strings.Contains(s.Why, " is set aside: its ")
	})
	if !strings.Contains(s.Why, "; tried again after ") || s.State != api.DonatingOn {
		t.Errorf("%s: %q", s.State, s.Why)
	}
	until(t, "its units are given back", func() bool {
		s, err := donor.Status(t.Context())
		return err == nil && len(s.Working) == 0
	})
	if states := guests(t); states != "" {
		t.Errorf("its guests still run: %s", states)
	}
}

func killGuests(t *testing.T) {
	t.Helper()
	for _, g := range gridtest.Guests(t, os.Getpid()) {
		if err := syscall.Kill(g.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// A file that was damaged while the node runs changes nothing but a word in status.
func TestSettingsThatBreakWhileRunning(t *testing.T) {
	home := t.TempDir()
	n := openedIn(t, home, newDesk(), true, nil)
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(home, config.FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("disk = \"3 GiB\"\n")
	until(t, "the file counts", func() bool { return donating(t, n).Disk == 3<<30 })
	for text, want := range map[string]string{
		"disk = \"4 GiB\"\nidle-aftre = \"1m\"\n": `no setting "idle-aftre"`,
		"disk = \"-4 GiB\"\n":                     "is not a size",
		"disk = \"4 GiB\"\nformat = 99\n":         "written for a newer shoal",
	} {
		write(text)
		until(t, "status says what is wrong: "+want, func() bool {
			return slices.ContainsFunc(donating(t, n).Notes, func(note string) bool {
				return strings.HasPrefix(note, "the settings before count on: "+config.FileName) && strings.Contains(note, want)
			})
		})
		if s := donating(t, n); s.Disk != 3<<30 {
			t.Errorf("%q counts: %d bytes", text, s.Disk)
		}
	}
	write("disk = \"5 GiB\"\n")
	until(t, "a good one counts again", func() bool { s := donating(t, n); return s.Disk == 5<<30 && len(s.Notes) == 0 })
}

// What a node calls itself is a setting like others: it counts at once.
func TestANewNameCountsAtOnce(t *testing.T) {
	home := t.TempDir()
	n := openedIn(t, home, newDesk(), false, nil)
	said := func() string {
		raw, err := node.Handle(n, t.Context(), jobs.NodeID{1}, protocol.EncodeRequest(protocol.Hello, &protocol.HelloRequest{}))
		var hello protocol.HelloAnswer
		if err = errors.Join(err, protocol.DecodeAnswer(raw, &hello)); err != nil {
			t.Fatal(err)
		}
		return hello.Name
	}
	for _, name := range []string{"ada", "grace"} {
		if err := config.Set(home, "name", name); err != nil {
			t.Fatal(err)
		}
		until(t, "it calls itself "+name, func() bool { return said() == name })
	}
}

// A paused node keeps for others, or nothing at all, as its owner wishes.
func TestKeepWhilePaused(t *testing.T) {
	for keep, want := range map[string]string{"true": "", "false": "this node is paused, and keeps nothing for others meanwhile"} {
		n := opened(t, newDesk(), true, map[string]string{"keep-while-paused": keep})
		ask := func() string {
			request := protocol.EncodeRequest(protocol.Summary, &protocol.SummaryRequest{})
			if _, err := node.Handle(n, t.Context(), jobs.NodeID{1}, request); err != nil {
				return err.Error()
			}
			return ""
		}
		until(t, "it donates", func() bool { return donating(t, n).State == api.DonatingOn })
		if said := ask(); said != "" {
			t.Errorf("keep-while-paused %s, before a pause: %q", keep, said)
		}
		if err := n.Pause(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if said := ask(); said != want {
			t.Errorf("keep-while-paused %s, paused: %q", keep, said)
		}
		if _, err := node.Handle(n, t.Context(), jobs.NodeID{1}, protocol.EncodeRequest(protocol.Hello, &protocol.HelloRequest{})); err != nil {
			t.Errorf("it should greet all the same: %v", err)
		}
	}
}
