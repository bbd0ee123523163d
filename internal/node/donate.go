package node

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/wasm"
)

// What the owner says by command: donate, pause, resume, finish.

// change changes what the owner has said.
func (n *Node) change(f func(*donation) error) error {
	n.mu.Lock()
	err := f(&n.donate)
	d := n.donate
	n.mu.Unlock()
	if err == nil {
		err = n.rememberPause(d)
		n.decide(time.Now())
	}
	return err
}

// Donate turns donating on.
func (n *Node) Donate(ctx context.Context, d api.Donation) error {
	if err := n.locked(ctx, d.AllowWeakSandbox); err != nil {
		return err
	}
	if err := n.takeUp(d.Settings); err != nil {
		return err
	}
	n.bringUp()
	err := n.change(func(x *donation) error {
		*x = donation{on: true}
		return nil
	})
	if err != nil {
		return err
	}
	return n.meet(ctx, d.Bootstrap)
}

// maxMeet bounds the addresses that one command names.
const maxMeet = 64

// meet joins by the addresses that a command has brought to a node which runs already. Whom it
// meets is remembered; who does not answer is not tried again.
func (n *Node) meet(ctx context.Context, addrs []string) error {
	if len(addrs) == 0 {
		return nil
	}
	select {
	case <-n.isUp:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	host, err := n.net.up()
	if err != nil {
		return err
	}
	for _, addr := range addrs[:min(len(addrs), maxMeet)] {
		if err := host.Connect(ctx, addr); err != nil {
			n.log.Debug("cannot join by this address", "bootstrap", addr, "error", err)
			return &api.Error{
				Code: api.CodeUnexpected, Message: "nobody answers at " + addr,
				Hint: "is that node on, and in network " + n.network + " as well? this one donates all the same",
			}
		}
	}
	return nil
}

// locked refuses to donate where strangers' programs could not be locked in, unless weak
// says that they may run all the same.
func (n *Node) locked(ctx context.Context, weak bool) error {
	err := n.sandbox.Locked(ctx)
	var missing *wasm.WeakError
	switch {
	case !errors.As(err, &missing):
		return err
	case weak:
		n.sandbox.AllowWeak(true)
		n.log.Warn("strangers' programs are not locked in as they should be", "cause", missing)
		return nil
	}
	return &api.Error{
		Code: api.CodeRefused, Message: "not donating: " + missing.Error(),
		Hint: "use a system that has it, or take the risk with --allow-weak-sandbox",
	}
}

var errNotDonating = &api.Error{Code: api.CodeUsage, Message: "this node is not donating", Hint: "begin with: shoal donate"}

// Pause stops donating for a time; 0 is until Resume. It outlasts a restart.
func (n *Node) Pause(_ context.Context, d time.Duration) error {
	return n.change(func(x *donation) error {
		if !x.on {
			return errNotDonating
		}
		x.paused, x.until = true, time.Time{}
		if d > 0 {
			x.until = time.Now().Add(d).Round(0) // by the clock on the wall, also when the machine sleeps
		}
		return nil
	})
}

// Resume ends a pause.
func (n *Node) Resume(context.Context) error {
	return n.change(func(x *donation) error {
		if !x.on {
			return errNotDonating
		}
		x.paused, x.finishing, x.until = false, false, time.Time{}
		return nil
	})
}

// Finish ends what is running, takes nothing new, and then turns donating off.
func (n *Node) Finish(context.Context) error {
	return n.change(func(x *donation) error {
		if !x.on {
			return errNotDonating
		}
		x.paused, x.finishing = false, true
		return nil
	})
}

func (n *Node) endFinish() {
	n.mu.Lock()
	finishing := n.donate.finishing
	n.mu.Unlock()
	if !finishing {
		return
	}
	if working, _ := n.worker.Working(); len(working) == 0 && n.worker.Stats().Waiting == 0 {
		if err := n.change(func(x *donation) error { *x = donation{}; return nil }); err != nil {
			n.log.Warn("finished, but a pause is remembered", "error", err)
		}
	}
}

// Finished reports whether a finish has come to its end.
func (n *Node) Finished() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.donate.on
}

// pauseKey is where a pause is on disk.
const pauseKey = "pause"

// storedPause is a pause as it outlasts a restart.
type storedPause struct {
	Until time.Time     `json:"until"` // zero: until told otherwise
	For   time.Duration `json:"for"`   // so that a clock that was wrong makes it no longer
}

// rememberPause puts a pause on disk, or takes it off.
func (n *Node) rememberPause(d donation) error {
	t := n.table("lending")
	if !d.paused {
		return t.Delete(context.Background(), []byte(pauseKey))
	}
	p := storedPause{Until: d.until}
	if !d.until.IsZero() {
		p.For = time.Until(d.until)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return t.Put(context.Background(), disk.Pair{Key: []byte(pauseKey), Value: text})
}

// recallPause takes a pause up that an earlier run of this node was told.
func (n *Node) recallPause(now time.Time) error {
	text, ok, err := n.table("lending").Get([]byte(pauseKey))
	if !ok || err != nil {
		return err
	}
	var p storedPause
	if err := json.Unmarshal(text, &p); err != nil {
		n.log.Warn("a pause on disk is not readable, forgotten", "error", err)
		return nil
	}
	if latest := now.Add(p.For); p.Until.After(latest) {
		p.Until = latest
	}
	n.donate.paused = p.Until.IsZero() || now.Before(p.Until)
	n.donate.until = p.Until
	return nil
}
