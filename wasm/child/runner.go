package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/experimental/sysfs"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/cache"
	"github.com/shoalgrid/shoal/wasm/files"
	"github.com/shoalgrid/shoal/wasm/jail"
	"github.com/shoalgrid/shoal/wasm/link"
)

// runner is the inside of a run child: a compiled program, and the parts of a guest's world
// that are used again for the next guest.
type runner struct {
	line    *link.Child
	locks   []jail.Lock
	in      *bufio.Reader
	inbox   []byte // memory of the input's frame
	chunk   []byte // memory of a frame of stdin
	outbox  []byte // memory of the report
	seed    uint64
	fuel    uint64 // of each input; 0 where it is not counted
	spent   uint64 // of it, before the guest was begun again
	used    func() uint64
	engine  wazero.Runtime
	program wazero.CompiledModule
	ctx     context.Context // carries the allocator: it is how wazero is told
	memory  *memory
	data    []files.Host
	stdout  stdout
	stderr  stderr
}

// runMain loads the program that the parent names, then runs one input after another until
// the parent closes the stream.
func runMain() error {
	// Little is allocated for each guest: collecting it rarely keeps inputs cheap.
	debug.SetGCPercent(400)
	line, err := link.OpenChild()
	if err != nil {
		return err
	}
	r := &runner{line: line, in: bufio.NewReaderSize(line, link.InlineMax+link.FrameHead)}
	err = r.load()
	if failed, ok := errors.AsType[*link.Failure](err); ok {
		return r.send(link.KindFailed, failed)
	}
	if err != nil {
		return err
	}
	r.locks = append(r.locks, jail.Shut(jail.Plan{})...)
	if err := r.send(link.KindReady, link.Ready{CPU: ownCPU(), Locks: r.locks}); err != nil {
		return err
	}
	for {
		kind, payload, grown, err := link.ReadFrame(r.in, r.inbox)
		r.inbox = grown
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read an input: %w", err)
		case kind != link.KindInput:
			return fmt.Errorf("read an input: %w of kind %q", link.ErrFrame, kind)
		}
		if err := r.one(payload); err != nil {
			return err
		}
	}
}

// send sends a frame with v as JSON.
func (r *runner) send(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode for the parent: %w", err)
	}
	_, err = r.line.Write(link.Seal(append(link.NewFrame(nil, kind), text...)))
	return err
}

// load takes the setup and makes the program ready to run. Its error is a *link.Failure when
// the parent can do something about it.
func (r *runner) load() error {
	kind, payload, _, err := link.ReadFrame(r.in, nil)
	if err != nil {
		return fmt.Errorf("read the setup: %w", err)
	}
	var s link.Setup
	if kind != link.KindSetup {
		return fmt.Errorf("read the setup: %w of kind %q", link.ErrFrame, kind)
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return fmt.Errorf("read the setup: %w", err)
	}
	r.locks = jail.Limit(runPlan(s))
	if r.data, err = openData(s.Data); err != nil {
		return &link.Failure{Reason: err.Error()}
	}
	there, err := cache.Digests(s.Cache)
	if err != nil {
		return &link.Failure{Cache: true, Reason: err.Error()}
	}
	if !maps.Equal(there, s.Files) {
		return &link.Failure{Cache: true, Reason: "the cache entry is not what it was"}
	}
	binary, err := os.ReadFile(s.Program)
	if err != nil {
		return &link.Failure{Reason: err.Error()}
	}
	compiled, err := wazero.NewCompilationCacheWithDir(s.Cache)
	if err != nil {
		return &link.Failure{Cache: true, Reason: err.Error()}
	}
	r.seed = s.Seed
	if s.Profile >= link.ProfileMetered {
		r.fuel = s.Fuel
	}
	r.memory = &memory{limit: s.Memory &^ (1<<16 - 1)}
	r.ctx = experimental.WithMemoryAllocator(context.Background(), r.memory)
	r.engine = wazero.NewRuntimeWithConfig(r.ctx, engineConfig(compiled, s.Interpret))
	if err := offer(r.ctx, r.engine); err != nil {
		return fmt.Errorf("prepare the WASI functions: %w", err)
	}
	if r.program, err = r.engine.CompileModule(r.ctx, binary); err != nil {
		return &link.Failure{Cache: true, Reason: err.Error()}
	}
	r.stdout.limit = s.Output
	r.stdout.send = r.mustWrite
	return nil
}

// mustWrite sends a frame from within a guest's call. Without a parent there is no reason
// to go on.
func (r *runner) mustWrite(frame []byte) {
	if _, err := r.line.Write(frame); err != nil {
		die(fmt.Errorf("write to the parent: %w", err))
	}
}

// one runs one input and reports.
func (r *runner) one(payload []byte) error {
	in, err := link.DecodeInput(payload)
	if err != nil {
		return err
	}
	r.memory.begin()
	r.stdout.begin()
	r.stderr.begin()
	var file *files.Host
	if in.File.Name != "" {
		f, err := r.line.TakeFile(in.File.Path)
		if err != nil {
			return fmt.Errorf("take the input file: %w", err)
		}
		defer f.Close()
		if file, err = show(in.File.Name, f); err != nil {
			return err
		}
	}
	var state []byte
	if in.State > 0 {
		if state, err = r.takeState(in.State); err != nil {
			return err
		}
	}
	end := r.guest(in, file, state)
	if r.memory.refused && (end.outcome == jobs.Exit || end.outcome == jobs.Trap) {
		end = ending{outcome: jobs.MemoryLimit, fuel: end.fuel, reason: "asked for more memory than the limit"}
	}
	report := link.Report{
		Outcome: end.outcome, Exit: end.exit, Fuel: end.fuel, PeakMemory: r.memory.peak, CPU: ownCPU(),
		Reason: end.reason, Stderr: r.stderr.tail(nil), Output: r.stdout.rest(),
	}
	f := report.Append(link.NewFrame(r.outbox, link.KindReport))
	r.outbox = f
	_, err = r.line.Write(link.Seal(f))
	return err
}

// guest makes a fresh instance, in a fresh world, and runs it to its end.
func (r *runner) guest(in link.Input, file *files.Host, state []byte) ending {
	var now clock
	tree := r.world(&now, file, state)
	if in.Keep {
		r.keepState(tree)
	}
	config := wazero.NewModuleConfig().
		WithName("").
		WithArgs(append([]string{programName}, in.Args...)...).
		WithStdin(&stdin{chunk: in.Stdin, more: in.More, want: r.want}).
		WithStdout(&r.stdout).
		WithStderr(&r.stderr).
		WithFSConfig(wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(tree, "/")).
		WithRandSource(randomness(r.seed, in.Number)).
		WithWalltime(now.wall, 1000).
		WithNanotime(now.monotonic, 1).
		WithNanosleep(now.sleep)
	instance, err := r.engine.InstantiateModule(r.ctx, r.program, config.WithStartFunctions())
	if err != nil {
		return endingOf(err)
	}
	defer instance.Close(r.ctx) // gives the memory back; it has no error to give
	end := r.call(instance)
	tree.KeepState(nil)
	if tree.UsesState() {
		end.fuel = 0 // it cannot be the same with a state as without
	}
	if end.outcome != jobs.OK {
		return end
	}
	if err := r.deliver(tree); err != nil {
		fuel := end.fuel
		end = endingOf(err)
		end.fuel = fuel
	}
	return end
}

// deliver adds to the output what the guest left in /out.
func (r *runner) deliver(tree *files.Tree) (err error) {
	defer func() {
		cause := recover()
		if full, ok := cause.(error); ok && errors.Is(full, errOutputLimit) {
			err = errOutputLimit
		} else if cause != nil {
			panic(cause)
		}
	}()
	return tree.WriteOut(&r.stdout)
}

// call runs an instance to its end.
func (r *runner) call(instance api.Module) ending {
	if r.fuel > 0 {
		return r.metered(instance)
	}
	r.used = func() uint64 { return 0 }
	_, err := instance.ExportedFunction("_start").Call(r.ctx)
	return endingOf(err)
}

// openData opens the files that every guest sees.
func openData(data []link.File) ([]files.Host, error) {
	var hosts []files.Host
	for _, d := range data {
		f, err := os.Open(d.Path)
		if err != nil {
			return nil, fmt.Errorf("open data: %w", err)
		}
		host, err := show(d.Name, f)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, *host)
	}
	return hosts, nil
}

// show makes an open file of the host one that guests see.
func show(name string, f *os.File) (*files.Host, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at file %s: %w", name, err)
	}
	return &files.Host{Name: name, From: f, Size: info.Size()}, nil
}

// want asks the parent for more stdin.
func (r *runner) want() ([]byte, error) {
	r.mustWrite(link.Seal(link.NewFrame(r.outbox, link.KindWant)))
	kind, payload, grown, err := link.ReadFrame(r.in, r.chunk)
	r.chunk = grown
	if err != nil || kind != link.KindStdin {
		die(fmt.Errorf("read more stdin: frame of kind %q: %w", kind, err))
	}
	return payload, nil
}

// programName is every guest's argv[0].
const programName = "program"
