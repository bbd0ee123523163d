package p2p

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"pgregory.net/rapid"

	"github.com/shoalgrid/shoal/jobs"
)

// attacker is a libp2p host that keeps to no rules, connected with victim.
func attacker(t *testing.T, victim *Host) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	h.SetStreamHandler(victim.cfg.blobProtocol(), func(s network.Stream) { _ = s.Reset() }) // looks like a node
	connect(t, h, victim)
	tried := time.Now()
	waitFor(t, "the attacker to be taken for a node", func() bool {
		if time.Since(tried) > 2*time.Second { // word of the handler was overtaken by what was said before it
			_ = h.Network().ClosePeer(victim.host.ID())
			connect(t, h, victim)
			tried = time.Now()
		}
		return victim.isOurs(h.ID())
	})
	return h
}

func connect(t *testing.T, h host.Host, victim *Host) {
	t.Helper()
	info, err := peer.AddrInfoFromString(victim.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Connect(t.Context(), *info); err != nil {
		t.Fatal(err)
	}
}

func openStream(t *testing.T, h host.Host, victim *Host) network.Stream {
	t.Helper()
	s, err := h.NewStream(t.Context(), victim.host.ID(), protocol.ID(testProtocol+"/test"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestHostileFrames(t *testing.T) {
	frames := map[string][]byte{
		"empty":            {0},
		"2^63":             binary.AppendUvarint(nil, 1<<63),
		"2^62":             binary.AppendUvarint(nil, 1<<62),
		"endless length":   bytes.Repeat([]byte{0xff}, 64),
		"long length":      {0x81, 0x00, 'x'},
		"one byte too big": binary.AppendUvarint(nil, MaxMessage+1),
	}
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			victim := start(t)
			victim.Handle(testProtocol, func(context.Context, jobs.NodeID, []byte) ([]byte, error) {
				t.Error("the handler was called")
				return nil, nil
			})
			a := attacker(t, victim)
			s := openStream(t, a, victim)
			if _, err := s.Write(frame); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the attacker to be cut off", func() bool { return len(victim.Peers()) == 0 })
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_ = a.Connect(ctx, peer.AddrInfo{ID: victim.host.ID()})
			if _, err := a.NewStream(ctx, victim.host.ID(), protocol.ID(testProtocol+"/test")); err == nil {
				t.Error("the attacker came back at once")
			}
		})
	}
}

// A peer that opens 10,000 streams, each with the length of a huge frame, gets a few of them and
// no memory; others are served as before.
func TestManyStreams(t *testing.T) {
	victim, friend := start(t), start(t)
	var handled atomic.Int32
	victim.Handle(testProtocol, func(_ context.Context, _ jobs.NodeID, request []byte) ([]byte, error) {
		handled.Add(1)
		return request, nil
	})
	if err := friend.Connect(t.Context(), victim.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
	a := attacker(t, victim)
	header := binary.AppendUvarint(nil, MaxMessage)
	open := 0
	for range 10_000 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		s, err := a.NewStream(ctx, victim.host.ID(), protocol.ID(testProtocol+"/test"))
		cancel()
		if err == nil {
			if _, err := s.Write(header); err == nil {
				open++
			}
		}
	}
	in := 0
	for _, c := range victim.host.Network().ConnsToPeer(a.ID()) {
		for _, s := range c.GetStreams() {
			if strings.HasPrefix(string(s.Protocol()), testProtocol) {
				in++
			}
		}
	}
	t.Logf("the attacker thinks it opened %d streams, %d are open here", open, in)
	if in > peerStreams {
		t.Errorf("%d streams of one peer are open, at most %d allowed", in, peerStreams)
	}
	if got, err := friend.Call(t.Context(), victim.Self(), testProtocol, []byte("hi")); err != nil || string(got) != "hi" {
		t.Errorf("a friend got %q, %v", got, err)
	}
	if n := handled.Load(); n != 1 {
		t.Errorf("the handler was called %d times", n)
	}
}

// The memory that one peer's half-sent frames can take is bounded.
func TestFrameMemory(t *testing.T) {
	victim := start(t)
	victim.Handle(testProtocol, echo)
	a := attacker(t, victim)
	half := append(binary.AppendUvarint(nil, MaxMessage), make([]byte, MaxMessage/2)...)
	var wg sync.WaitGroup
	for range peerStreams {
		s := openStream(t, a, victim)
		wg.Go(func() {
			_ = s.SetWriteDeadline(time.Now().Add(3 * time.Second))
			_, _ = s.Write(half)
		})
	}
	wg.Wait()
	var stat network.ScopeStat
	err := victim.host.Network().ResourceManager().ViewPeer(a.ID(), func(s network.PeerScope) error {
		stat = s.Stat()
		return nil
	})
	if err != nil || stat.Memory > 2*peerMemory || stat.Memory == 0 {
		t.Errorf("one peer holds %d MiB, %v", stat.Memory>>20, err)
	}
	t.Logf("one peer holds %d MiB", stat.Memory>>20)
}

// Libraries that take a length at its word are not told long ones.
func TestHostileMessages(t *testing.T) {
	for _, c := range []struct {
		protocol protocol.ID
		longest  int
	}{{"/shoal/test/kad/1.0.0", 64<<10 + defaultMaxHead}, {"/shoal/test/ipfs/bitswap/1.2.0", maxBlobMessage}} {
		victim := start(t)
		a := attacker(t, victim)
		s, err := a.NewStream(t.Context(), victim.host.ID(), c.protocol)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(binary.AppendUvarint(nil, uint64(c.longest)+1)); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the attacker to be cut off", func() bool { return len(victim.Peers()) == 0 })
	}
}

func TestGuardPasses(t *testing.T) {
	const longest = 300
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, longest+1), 0, 20).Draw(t, "sizes")
		var wire []byte
		for _, n := range sizes {
			wire = append(binary.AppendUvarint(wire, uint64(n)), make([]byte, n)...)
		}
		s := &guardedStream{guard: &guarded{longest: longest}}
		passed := true
		for len(wire) > 0 && passed {
			n := rapid.IntRange(1, len(wire)).Draw(t, "read")
			passed = s.pass(wire[:n])
			wire = wire[n:]
		}
		if want := !slices.Contains(sizes, longest+1); passed != want {
			t.Fatalf("passed: %v, want %v", passed, want)
		}
	})
}

// A frame that comes byte by byte is given up, and its sender cut off.
func TestSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		victim := w.node(t, 0, nil)
		victim.Handle(testProtocol, echo)
		slow := w.node(t, 1, []*Host{victim})
		time.Sleep(5 * time.Second)
		s := openStream(t, slow.host, victim)
		begin := time.Now()
		_, err := s.Write(binary.AppendUvarint(nil, 1000))
		for err == nil {
			time.Sleep(time.Second)
			_, err = s.Write([]byte{'x'})
			if time.Since(begin) > 5*time.Minute {
				t.Fatal("nobody minds")
			}
		}
		if took := time.Since(begin); took < frameTimeout || took > frameTimeout+5*time.Second {
			t.Errorf("cut off after %v", took)
		}
		if victim.gate.admits(slow.host.ID()) {
			t.Error("the slow peer may come back at once")
		}
	})
}

// An idle stream is closed by the side that answers, too.
func TestIdleStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		victim := w.node(t, 0, nil)
		victim.Handle(testProtocol, echo)
		idle := w.node(t, 1, []*Host{victim})
		time.Sleep(5 * time.Second)
		s := openStream(t, idle.host, victim)
		if _, err := s.Write(frame([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, _ = io.Copy(io.Discard, s)
		if took := time.Since(begin); took < serveIdle || took > serveIdle+time.Second {
			t.Errorf("closed after %v", took)
		}
		if !victim.gate.admits(idle.host.ID()) {
			t.Error("idleness is no offence")
		}
	})
}

// Answers are frames of a stranger, too.
func TestHostileAnswers(t *testing.T) {
	for name, answer := range map[string][]byte{
		"empty":        {0},
		"2^63":         binary.AppendUvarint(nil, 1<<63),
		"unknown kind": {2, 77, 'x'},
		"cut short":    {9, 0, 'x'},
		"none":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			a := attacker(t, h)
			a.SetStreamHandler(protocol.ID(testProtocol+"/test"), func(s network.Stream) {
				_, _ = s.Read(make([]byte, 10))
				_, _ = s.Write(answer)
				_ = s.Close()
			})
			to, err := nodeOf(a.ID())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := h.Call(t.Context(), to, testProtocol, []byte("x")); err == nil {
				t.Errorf("took %q for an answer", got)
			}
		})
	}
}

func TestMalformedIsAnOffence(t *testing.T) {
	hosts := grid(t, 2)
	hosts[0].Handle(testProtocol, func(context.Context, jobs.NodeID, []byte) ([]byte, error) {
		return nil, errors.Join(ErrMalformed, errors.New("what is this"))
	})
	if _, err := hosts[1].Call(t.Context(), hosts[0].Self(), testProtocol, []byte("x")); err == nil {
		t.Error("no error")
	}
	waitFor(t, "the sender to be cut off", func() bool { return len(hosts[0].Peers()) == 0 })
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{1, 'x'})
	f.Add([]byte{0})
	f.Add([]byte{0x81, 0x00, 'x'})
	f.Add(binary.AppendUvarint(nil, 1<<63))
	f.Add(bytes.Repeat([]byte{0xff}, 20))
	f.Add(frame(make([]byte, 300)))
	const limit = 1 << 10
	f.Fuzz(func(t *testing.T, wire []byte) {
		reserved := 0
		got, err := readFrame(bufio.NewReader(bytes.NewReader(wire)), limit, func(n int) error {
			reserved += n
			return nil
		})
		if reserved > limit {
			t.Fatalf("reserved %d bytes of at most %d", reserved, limit)
		}
		if err != nil {
			return
		}
		if reserved != len(got) || len(got) == 0 || len(got) > limit {
			t.Fatalf("a frame of %d bytes reserved %d", len(got), reserved)
		}
		if again := frame(got); !bytes.HasPrefix(wire, again) {
			t.Fatalf("read %x, which is written %x", wire, again)
		}
	})
}
