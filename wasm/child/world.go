package child

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/link"
)

// offer defines the functions of WASI. They are wazero's but for fd_renumber: with that, a
// guest could have a table of files as long as the host has memory for, and so an answer
// that depends on the host.
func offer(ctx context.Context, engine wazero.Runtime) error {
	const notSupported = 58 // errno of WASI
	module := engine.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(module)
	module.NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = notSupported }),
			[]api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).
		Export("fd_renumber")
	_, err := module.Instantiate(ctx)
	return err
}

// Time in a guest starts at the epoch below, goes on by one tick with each reading of a
// clock, so that a loop that waits for a moment ends, and leaps over every sleep.
const (
	epoch = 1_640_995_200 // 2022-01-01T00:00:00Z
	tick  = int64(1_000_000)
)

// clock is a guest's virtual time in nanoseconds since the epoch.
type clock int64

func (c *clock) pass(ns int64) int64 {
	if ns > math.MaxInt64-int64(*c) {
		*c = math.MaxInt64
	} else if ns > 0 {
		*c += clock(ns)
	}
	return int64(*c)
}

func (c *clock) monotonic() int64 { return c.pass(tick) - tick }

func (c *clock) wall() (sec int64, nsec int32) {
	t := c.monotonic()
	return epoch + t/1e9, int32(t % 1e9)
}

// sleep passes at once. The longest duration means that nothing was waited for.
func (c *clock) sleep(ns int64) {
	if ns != math.MaxInt64 {
		c.pass(ns)
	}
}

// surroundings is what the file system needs of the rest of the world.
type surroundings struct {
	clock  *clock
	memory *memory
}

// Now implements files.World.
func (s surroundings) Now() int64 { return epoch*1e9 + int64(*s.clock) }

// Take implements files.World.
func (s surroundings) Take(bytes int64) bool { return s.memory.take(bytes) }

// randomness is the stream of random bytes of one input: of the job's seed and the
// input's number, and of nothing else, so that the grid gives what a run alone gives.
func randomness(seed, number uint64) io.Reader {
	b := binary.BigEndian.AppendUint64(nil, seed)
	b = binary.BigEndian.AppendUint64(b, number)
	return rand.NewChaCha8(jobs.Sum([]byte("shoal/seed/1"), b))
}

// errOutputLimit stops a guest at its output limit. It is a panic, because a guest that
// is only told of an error may go on for ever.
var errOutputLimit = errors.New("output limit reached")

// stdout is a guest's standard output: counted, capped, gathered into frames.
type stdout struct {
	frame       []byte // unsent output, after the room for a frame's head
	size, limit uint64
	send        func(frame []byte)
}

func (o *stdout) begin() { o.frame, o.size = link.NewFrame(o.frame, link.KindOutput), 0 }

func (o *stdout) Write(p []byte) (int, error) {
	n := len(p)
	full := uint64(n) > o.limit-o.size
	if full {
		p = p[:o.limit-o.size]
	}
	o.size += uint64(len(p))
	for len(p) > 0 {
		k := min(len(p), link.InlineMax+link.FrameHead-len(o.frame))
		o.frame = append(o.frame, p[:k]...)
		p = p[k:]
		if len(o.frame) == link.InlineMax+link.FrameHead {
			o.send(link.Seal(o.frame))
			o.frame = link.NewFrame(o.frame, link.KindOutput)
		}
	}
	if full {
		panic(errOutputLimit)
	}
	return n, nil
}

// rest is what was not sent yet.
func (o *stdout) rest() []byte { return o.frame[link.FrameHead:] }

// stderr keeps the end of a guest's standard error.
type stderr struct {
	ring [jobs.MaxStderr]byte
	size uint64
}

func (e *stderr) begin() { e.size = 0 }

func (e *stderr) Write(p []byte) (int, error) {
	n := len(p)
	if skip := n - jobs.MaxStderr; skip > 0 {
		e.size += uint64(skip)
		p = p[skip:]
	}
	for len(p) > 0 {
		k := copy(e.ring[e.size%jobs.MaxStderr:], p)
		e.size += uint64(k)
		p = p[k:]
	}
	return n, nil
}

// tail appends what was kept to b.
func (e *stderr) tail(b []byte) []byte {
	if e.size <= jobs.MaxStderr {
		return append(b, e.ring[:e.size]...)
	}
	at := e.size % jobs.MaxStderr
	return append(append(b, e.ring[at:]...), e.ring[:at]...)
}

// stdin is a guest's standard input. A read is short only at the end, so that how the
// bytes came here does not show.
type stdin struct {
	chunk []byte                 // here and unread
	more  bool                   // there may be more with the parent
	want  func() ([]byte, error) // asks for it; empty is the end
}

func (s *stdin) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(s.chunk) == 0 {
			if !s.more {
				break
			}
			chunk, err := s.want()
			if err != nil {
				return n, err
			}
			s.chunk, s.more = chunk, len(chunk) > 0
			continue
		}
		k := copy(p[n:], s.chunk)
		s.chunk = s.chunk[k:]
		n += k
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
