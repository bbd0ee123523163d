package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/host"
	"github.com/shoalgrid/shoal/internal/service"
	"github.com/shoalgrid/shoal/internal/words"
)

// finding is one thing that a doctor has looked at.
type finding struct {
	About string `json:"about"`
	State string `json:"state"` // stateOK, stateWarn or stateBad
	Says  string `json:"says"`
	Try   string `json:"try,omitempty"`
}

// The states of a finding.
const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateBad  = "bad"
)

func ok(about, format string, args ...any) finding {
	return finding{About: about, State: stateOK, Says: fmt.Sprintf(format, args...)}
}

func warn(about, try, format string, args ...any) finding {
	return finding{About: about, State: stateWarn, Try: try, Says: fmt.Sprintf(format, args...)}
}

func bad(about, try, format string, args ...any) finding {
	return finding{About: about, State: stateBad, Try: try, Says: fmt.Sprintf(format, args...)}
}

// findings judges what was found out, the machine first and the grid last.
func (e *examination) findings() []finding {
	all := []finding{e.homeFinding(), e.configFinding(), e.engineFinding(), e.diskFinding()}
	all = append(all, e.lockFindings()...)
	all = append(all, hostFindings(&e.host)...)
	all = append(all, e.serviceFinding())
	return append(all, e.gridFindings()...)
}

func (e *examination) homeFinding() finding {
	if e.homeErr != nil {
		return bad("home", "chmod u+rwx "+e.home+", or another one: --home DIR", "%s cannot be used: %s", e.home, unwrapPath(e.homeErr))
	}
	return ok("home", "%s", e.home)
}

func (e *examination) configFinding() finding {
	if e.configErr != nil {
		try := "shoal config show"
		wrong := &config.Error{}
		if errors.As(e.configErr, &wrong) {
			try = cmp.Or(wrong.Hint(), try)
		}
		return bad("settings", try, "%v", e.configErr)
	}
	return ok("settings", "all can be used: shoal config show")
}

func (e *examination) engineFinding() finding {
	if e.engine != "compiler" {
		return bad("engine", "a service with MemoryDenyWriteExecute= in it does that: leave it out", "programs would be interpreted, some 60 times slower: this system allows no code to be made")
	}
	return ok("engine", "compiler for %s/%s", runtime.GOOS, runtime.GOARCH)
}

// lowDisk is what should be free beside the quota.
const lowDisk = 1 << 30

func (e *examination) diskFinding() finding {
	d := e.host.Disk
	switch {
	case !d.Known:
		return warn("disk", "", "how much is free is not known: %s", d.Why)
	case d.Value.Free < lowDisk:
		return bad("disk", "make room, or another home: --home DIR", "%s free", words.Size(d.Value.Free))
	case d.Value.Free < e.quota:
		return warn("disk", "shoal config set disk "+strings.ReplaceAll(words.Size(d.Value.Free/2), " ", ""), "%s free, less than the quota of %s", words.Size(d.Value.Free), words.Size(e.quota))
	}
	return ok("disk", "%s free, quota %s", words.Size(d.Value.Free), words.Size(e.quota))
}

func (e *examination) lockFindings() []finding {
	if e.locksErr != nil {
		return []finding{bad("sandbox", "shoal check PROGRAM says more", "programs cannot be started: %v", e.locksErr)}
	}
	var held []string
	var all []finding
	for _, l := range e.locks {
		switch {
		case l.Holds():
			held = append(held, l.Name)
		case l.Essential:
			all = append(all, bad("sandbox", "a newer kernel; or, at your own risk: shoal donate --allow-weak-sandbox", "%s is missing: %s; strangers' programs are not run", l.Name, l.Missing))
		default:
			all = append(all, warn("sandbox", "", "%s is missing: %s", l.Name, l.Missing))
		}
	}
	if len(held) > 0 {
		all = append([]finding{ok("sandbox", "holds with: %s", strings.Join(held, ", "))}, all...)
	}
	return all
}

// hostFindings says by which signals donating gives way.
func hostFindings(r *host.Readings) []finding {
	idle := ok("idle", "seen by %s, last input %s ago", r.Idle.Value.Source, span(r.Idle.Value.For))
	switch {
	case !r.Idle.Known:
		idle = warn("idle", "shoal donate --when always needs no such signal", "whether somebody is at this machine is not known: %s", r.Idle.Why)
	case r.Idle.Value.None:
		idle = ok("idle", "no input device: treated as idle, other load decides")
	}
	all := []finding{idle}
	for _, s := range []struct {
		about string
		known bool
		says  string
		why   string
	}{
		{"load", r.Busy.Known, fmt.Sprintf("other programs use %.0f %% of the cores", 100*r.Busy.Value.Others), r.Busy.Why},
		{"waits", r.Pressure.Known, fmt.Sprintf("of the last 10 s programs waited %.0f %% for the processor, %.0f %% for memory, %.0f %% for the disk", r.Pressure.Value.CPU, r.Pressure.Value.Memory, r.Pressure.Value.IO), r.Pressure.Why},
		{"power", r.Power.Known, powerWords(r.Power.Value), r.Power.Why},
		{"connection", r.Network.Known, map[bool]string{true: "metered: nothing large is moved but for your own jobs", false: "not metered"}[r.Network.Value.Metered], r.Network.Why},
		{"heat", r.Heat.Known, fmt.Sprintf("%.0f °C at %s", r.Heat.Value.Celsius, r.Heat.Value.Sensor), r.Heat.Why},
	} {
		if s.known {
			all = append(all, ok(s.about, "%s", s.says))
		} else {
			all = append(all, ok(s.about, "not known, so it decides nothing: %s", s.why))
		}
	}
	return all
}

func powerWords(p host.Power) string {
	if p.OnBattery {
		return fmt.Sprintf("on battery, %.0f %%", 100*p.Charge)
	}
	if p.Batteries == 0 {
		return "mains, no battery"
	}
	return fmt.Sprintf("mains, battery at %.0f %%", 100*p.Charge)
}

func (e *examination) serviceFinding() finding {
	st := e.service
	switch {
	case e.serverErr != nil:
		return ok("service", "cannot be asked for: %v", e.serverErr)
	case !st.Installed:
		return ok("service", "none: shoal is started by hand; shoal service install has it started for you")
	case !st.Running:
		return warn("service", "shoal service status", "%s is installed and does not run: %s", st.Path, oneLine(st.Words))
	case st.Linger == service.LingerOff:
		return warn("service", "loginctl enable-linger", "it runs, and ends when you log out")
	}
	return ok("service", "%s · %s", st.Path, oneLine(st.Words))
}

// maxSkew is how far clocks may be apart before it is worth a word. Nothing is decided by
// them but when jobs and custody end.
const maxSkew = 30 * time.Second

func (e *examination) gridFindings() []finding {
	s := e.status
	switch {
	case e.statusErr != nil:
		return []finding{bad("node", "shoal status", "it does not answer: %s", api.AsError(e.statusErr).Message)}
	case s == nil:
		return []finding{warn("node", "shoal donate, or: shoal up", "none runs in this home: network and clock were not looked at")}
	}
	all := []finding{ok("node", "%s · up %s · shoal %s", words.Peer(s.Node.Peer), span(time.Duration(s.Node.UptimeSeconds)*time.Second), s.Node.Version)}
	if s.Grid.Peers == 0 {
		all = append(all, warn("peers", "shoal donate --bootstrap ADDR, with what shoal id prints on a friend's machine", "nobody is in sight: on this network nobody else runs shoal, or they cannot be heard"))
	} else {
		all = append(all, ok("peers", "%s", words.Count(s.Grid.Peers, "peer")))
	}
	relayed := strings.Contains(strings.Join(s.Grid.Addrs, " "), "/p2p-circuit")
	switch {
	case s.Grid.Reachable:
		all = append(all, ok("reached", "others can dial this node on %s", where(s.Grid.Addrs)))
	case relayed:
		all = append(all, ok("reached", "by a relay: this node dials out, works and submits, and keeps nothing for others"))
	default:
		all = append(all, warn("reached", "let port 4901, TCP and UDP, through to this machine", "others cannot dial this node: it dials out, works and submits, and keeps nothing for others"))
	}
	if skew := s.Grid.ClockSkewSeconds; skew != nil {
		if d := time.Duration(*skew * float64(time.Second)); d.Abs() > maxSkew {
			all = append(all, warn("clock", "timedatectl set-ntp true", "%s from its peers'", span(d.Abs())))
		} else {
			all = append(all, ok("clock", "as its peers', within %s", max(d.Abs().Round(time.Second), time.Second)))
		}
	}
	return all
}
