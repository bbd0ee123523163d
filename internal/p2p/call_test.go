package p2p

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

const testProtocol = "/shoal/test/1"

func TestCall(t *testing.T) {
	hosts := grid(t, 2)
	a, b := hosts[0], hosts[1]
	var from jobs.NodeID
	b.Handle(testProtocol, func(_ context.Context, who jobs.NodeID, request []byte) ([]byte, error) {
		from = who
		if bytes.Equal(request, []byte("no")) {
			return nil, errors.New("not today")
		}
		return append([]byte("got "), request...), nil
	})
	for range 3 { // the later ones on the stream of the first
		got, err := a.Call(t.Context(), b.Self(), testProtocol, []byte("hello"))
		if err != nil || string(got) != "got hello" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if from != a.Self() {
		t.Errorf("handler was told %s, not %s", from, a.Self())
	}
	var refusal *Refusal
	if _, err := a.Call(t.Context(), b.Self(), testProtocol, []byte("no")); !errors.As(err, &refusal) || refusal.Text != "not today" {
		t.Errorf("refusal came as %v", err)
	}
	if _, err := a.Call(t.Context(), b.Self(), "/shoal/unknown/1", []byte("x")); err == nil {
		t.Error("an unknown protocol was answered")
	}
	if _, err := a.Call(t.Context(), a.Self(), testProtocol, []byte("x")); err == nil {
		t.Error("a call to itself was answered")
	}
}

// A handler learns that the caller has gone, and the stream of a patient one goes on working.
func TestSimLongCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hosts := w.grid(t, 2)
		left := make(chan time.Time, 1)
		hosts[1].Handle(testProtocol, func(ctx context.Context, _ jobs.NodeID, request []byte) ([]byte, error) {
			select {
			case <-ctx.Done():
				left <- time.Now()
				return nil, ctx.Err()
			case <-time.After(50 * time.Second):
				return request, nil
			}
		})
		for range 3 {
			if got, err := hosts[0].Call(t.Context(), hosts[1].Self(), testProtocol, []byte("patience")); err != nil || string(got) != "patience" {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := hosts[0].Call(ctx, hosts[1].Self(), testProtocol, []byte("no patience")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the call ended with %v", err)
		}
		gaveUp := time.Now()
		if late := (<-left).Sub(gaveUp); late > time.Second {
			t.Errorf("the handler learnt of it %v later", late)
		}
		time.Sleep(10 * time.Second)
		if len(hosts[0].Peers()) != 1 {
			t.Error("a live peer was parted with")
		}
	})
}

// A peer that dies while it is called is parted with in seconds.
func TestSimCallToTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hosts := w.grid(t, 3)
		hosts[1].Handle(testProtocol, echo)
		call := func() time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			begin := time.Now()
			if _, err := hosts[0].Call(ctx, hosts[1].Self(), testProtocol, []byte("x")); err == nil {
				t.Error("the dead answered")
			}
			return time.Since(begin)
		}
		if _, err := hosts[0].Call(t.Context(), hosts[1].Self(), testProtocol, []byte("x")); err != nil {
			t.Fatal(err)
		}
		w.kill(1)
		call()
		time.Sleep(suspectTimeout)
		if len(hosts[0].host.Network().ConnsToPeer(hosts[1].host.ID())) != 0 {
			t.Error("still connected with the dead")
		}
		if took := call(); took > 2*dialTimeout {
			t.Errorf("a second call took %v", took)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	hosts := grid(b, 2)
	hosts[1].Handle(testProtocol, echo)
	request := make([]byte, 700)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hosts[0].Call(b.Context(), hosts[1].Self(), testProtocol, request); err != nil {
			b.Fatal(err)
		}
	}
}
