package node

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/worker"
	"github.com/shoalgrid/shoal/worker/shares"
	"github.com/shoalgrid/shoal/worker/wishes"
)

// Machine tells what goes on at the machine that a node runs on.
type Machine interface {
	// Run asks the machine until ctx ends.
	Run(ctx context.Context) error
	// Readings are the last answers.
	Readings() wishes.Readings
	// Changed has a value when there are others since the last was taken.
	Changed() <-chan struct{}
	// Calm says whether nothing of others' runs here, so that asking may cost less.
	Calm(bool)
}

// donation is what the owner has said by command.
type donation struct {
	on        bool
	finishing bool
	paused    bool
	until     time.Time // of a pause; zero: until told otherwise
}

// lending is what follows from the owner's wishes and the machine. Node.mu guards it.
type lending struct {
	config   config.Config     // as the home's file says now
	given    map[string]string // settings given to this run by command
	stamp    string            // of the file that config is from
	broken   string            // why the file as it is now cannot be used
	began    time.Time         // when the machine was first asked; zero: not yet
	state    wishes.State
	decision wishes.Decision
	total    wishes.Known[uint64] // memory of the machine, as far as the decision knew it
}

// firstAnswer is how long the machine may take to say for the first time whether it is in use.
const firstAnswer = 1500 * time.Millisecond

// lend has the worker follow the owner's wishes, until ctx ends.
func (n *Node) lend(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		n.decide(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-second.C:
			n.watchSettings()
			working, _ := n.worker.Working()
			n.machine.Calm(len(working) == 0)
		case <-n.machine.Changed():
		}
	}
}

// decide weighs wishes against readings, and tells the worker.
func (n *Node) decide(now time.Time) {
	n.deciding.Lock() // what is told last is what was decided last
	defer n.deciding.Unlock()
	n.mu.Lock()
	if n.donate.paused && !n.donate.until.IsZero() && !now.Before(n.donate.until) {
		n.donate.paused = false
	}
	if !n.donate.on {
		n.mu.Unlock()
		n.applyMode()
		return
	}
	if n.lending.began.IsZero() && n.ctx.Err() == nil {
		n.lending.began = now
		n.group.Go(func() {
			if err := n.machine.Run(n.ctx); err != nil && n.ctx.Err() == nil {
				n.log.Warn("this machine cannot be watched", "error", err)
			}
		})
	}
	was := n.lending.decision
	n.lending.decision = n.weigh(now)
	is := n.lending.decision
	n.mu.Unlock()
	if was.Main() != is.Main() || was.Slots != is.Slots {
		n.log.Info("lending", "slots", is.Slots, "paused", is.Paused, "why", is.Main())
	}
	n.applyMode()
}

// weigh decides. n.mu is held.
func (n *Node) weigh(now time.Time) wishes.Decision {
	w, r := n.lending.config.Wishes, n.machine.Readings()
	w.Pause = wishes.Pause{On: n.donate.paused, Until: n.donate.until}
	r.Cores = runtime.NumCPU()
	n.lending.total = r.MemoryTotal
	if w.When == wishes.Idle && !r.Idle.OK && now.Sub(n.lending.began) < firstAnswer {
		return wishes.Decision{Paused: true, Bulk: true, Reasons: []wishes.Reason{{Why: "looking whether the computer is in use"}}}
	}
	return wishes.Decide(w, r, &n.lending.state, now)
}

// applyMode tells the worker what it may do now.
func (n *Node) applyMode() {
	n.mu.Lock()
	d, l, c := n.donate, n.lending.decision, n.lending.config
	n.mu.Unlock()
	mode := worker.OwnOnly
	switch {
	case !d.on:
	case l.Paused:
		mode = worker.Paused
	case d.finishing || !l.Taking:
		mode = worker.Finishing
	default:
		mode = worker.Donating
	}
	stopped := ""
	if d.on && !l.Bulk {
		stopped = wishes.MeteredNote
	}
	n.moves.wish(uint64(c.Rate), uint64(c.Monthly), stopped)
	n.blobs.full.Store(d.on && l.Full)
	n.worker.Allow(mode, l.Slots, l.Memory)
	if d.on && l.GiveBack {
		n.worker.Yield()
	}
}

var errSilent = errors.New("this node is paused, and keeps nothing for others meanwhile")

// silent reports whether the owner wishes that a paused node keeps nothing for others.
func (n *Node) silent() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.donate.on && n.lending.decision.Paused && !n.lending.config.KeepWhilePaused
}

// taking reports whether strangers' units are taken now. n.mu is held.
func (n *Node) taking() bool {
	return n.donate.on && !n.donate.finishing && n.lending.decision.Taking
}

func (n *Node) donatingNow() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.taking()
}

// watchSettings takes up the home's file when it has changed.
func (n *Node) watchSettings() {
	n.mu.Lock()
	same := n.lending.stamp == config.Stamp(n.opts.Home)
	n.mu.Unlock()
	if same {
		return
	}
	if err := n.Reload(n.ctx); err != nil {
		n.log.Warn("the settings before count on", "error", err)
	}
}

// Reload takes up the settings of the home's file that count without a restart.
func (n *Node) Reload(context.Context) error { return n.takeUp(nil) }

// takeUp loads the settings anew, with more of them given by command.
func (n *Node) takeUp(more map[string]string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	given := map[string]string{}
	for _, m := range []map[string]string{n.lending.given, more} {
		maps.Copy(given, m)
	}
	stamp := config.Stamp(n.opts.Home)
	c, err := n.lending.config.Again(given)
	var choice shares.Choice
	if err == nil {
		choice, err = c.Choice()
	}
	if bad, ok := errors.AsType[*config.Error](err); ok {
		if more == nil {
			n.lending.stamp, n.lending.broken = stamp, bad.Error()
		}
		return &api.Error{Code: api.CodeUsage, Message: bad.Error(), Hint: bad.Hint()}
	}
	if err != nil {
		return err
	}
	n.lending.config, n.lending.given, n.lending.stamp, n.lending.broken = c, given, stamp, ""
	n.blobs.SetQuota(uint64(c.Disk))
	n.worker.Choose(choice)
	return nil
}

// donateStatus is what is lent now, and why not more.
func (n *Node) donateStatus() api.DonateStatus {
	working, idle := n.worker.Working()
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &n.lending
	there := l.total
	if !n.donate.on {
		there = n.machine.Readings().MemoryTotal
	}
	cores, memory := l.config.Wishes.Most(runtime.NumCPU(), there)
	if !there.OK && l.config.Wishes.Memory == 0 {
		memory = 0 // a share of what is not known yet
	}
	d := api.DonateStatus{
		State: api.DonatingOff, Why: "not asked to: shoal donate", Cores: cores, TotalCores: runtime.NumCPU(),
		Memory: memory, Disk: uint64(l.config.Disk),
	}
	if !n.donate.on {
		return d
	}
	for _, r := range l.decision.Reasons {
		d.Reasons = append(d.Reasons, r.String())
	}
	d.Notes = append(d.Notes, l.decision.Notes...)
	if why := n.moves.why(time.Now()); why != "" && !slices.Contains(d.Notes, why) {
		d.Notes = append(d.Notes, why)
	}
	if l.broken != "" {
		d.Notes = append(d.Notes, "the settings before count on: "+filepath.Base(l.broken))
	}
	d.Why = l.decision.Main()
	switch {
	case l.decision.Paused:
		d.State = api.DonatingPaused
		if until := l.decision.Until(); !until.IsZero() {
			d.Until = &until
		}
	case n.donate.finishing:
		d.State, d.Why = api.DonatingFinishing, "ends what is running, takes nothing new"
	default:
		d.State, d.Cores = api.DonatingOn, l.decision.Slots
		if memory > 0 {
			d.Memory = l.decision.Memory
		}
		if len(working) == 0 && d.Why == "" {
			d.Why = idle
			if len(n.net.peers()) == 0 {
				d.Why = "no other node in sight"
			}
		}
	}
	return d
}
