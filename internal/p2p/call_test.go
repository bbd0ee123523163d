package p2p

import (
	"bytes"
	"context"
	"errors"
	"testing"

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
