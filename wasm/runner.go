package wasm

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
	"github.com/shoalgrid/shoal/wasm/files"
	"github.com/shoalgrid/shoal/wasm/jail"
)

// runner is the inside of a run child: a compiled program, and the parts of a guest's world
// that are used again for the next guest.
type runner struct {
	link    *childLink
	locks   []Lock
	in      *bufio.Reader
	inbox   []byte // memory of the input's frame
	chunk   []byte // memory of a frame of stdin
	outbox  []byte // memory of the report
	seed    uint64
	fuel    uint64 // of each input; 0 where it is not counted
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
	link, err := openChildLink()
	if err != nil {
		return err
	}
	r := &runner{link: link, in: bufio.NewReaderSize(link, inlineMax+frameHead)}
	failed, err := r.load()
	if err != nil {
		return err
	}
	if failed != nil {
		return r.send(kindFailed, failed)
	}
	r.locks = append(r.locks, jail.Shut(jail.Plan{})...)
	if err := r.send(kindReady, readiness{CPU: ownCPU(), Locks: r.locks}); err != nil {
		return err
	}
	for {
		kind, payload, grown, err := readFrame(r.in, r.inbox)
		r.inbox = grown
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read an input: %w", err)
		case kind != kindInput:
			return fmt.Errorf("read an input: %w of kind %q", errFrame, kind)
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
	_, err = r.link.Write(sealFrame(append(newFrame(nil, kind), text...)))
	return err
}

// load takes the setup and makes the program ready to run.
func (r *runner) load() (*failure, error) {
	kind, payload, _, err := readFrame(r.in, nil)
	if err != nil {
		return nil, fmt.Errorf("read the setup: %w", err)
	}
	var s setup
	if kind != kindSetup {
		return nil, fmt.Errorf("read the setup: %w of kind %q", errFrame, kind)
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, fmt.Errorf("read the setup: %w", err)
	}
	r.locks = jail.Limit(runPlan(s))
	binary, err := os.ReadFile(s.Program)
	if err != nil {
		return &failure{Reason: err.Error()}, nil
	}
	if files, err := digestFiles(s.Cache); err != nil || !maps.Equal(files, s.Files) {
		return &failure{Cache: true, Reason: fmt.Sprintf("cache entry is not what it was: %v", err)}, nil
	}
	cache, err := wazero.NewCompilationCacheWithDir(s.Cache)
	if err != nil {
		return &failure{Cache: true, Reason: err.Error()}, nil
	}
	if r.data, err = openData(s.Data); err != nil {
		return &failure{Reason: err.Error()}, nil
	}
	r.seed = s.Seed
	if s.Profile >= profileMetered {
		r.fuel = s.Limits.Fuel
	}
	r.memory = &memory{limit: s.Limits.Memory &^ (1<<16 - 1)}
	r.ctx = experimental.WithMemoryAllocator(context.Background(), r.memory)
	r.engine = wazero.NewRuntimeWithConfig(r.ctx, engineConfig(cache, s.Interpret))
	if err := offer(r.ctx, r.engine); err != nil {
		return nil, fmt.Errorf("prepare the WASI functions: %w", err)
	}
	if r.program, err = r.engine.CompileModule(r.ctx, binary); err != nil {
		return &failure{Cache: true, Reason: err.Error()}, nil
	}
	r.stdout.limit = s.Limits.Output
	r.stdout.send = r.mustWrite
	return nil, nil
}

// mustWrite sends a frame from within a guest's call. Without a parent there is no reason
// to go on.
func (r *runner) mustWrite(frame []byte) {
	if _, err := r.link.Write(frame); err != nil {
		die(fmt.Errorf("write to the parent: %w", err))
	}
}

// one runs one input and reports.
func (r *runner) one(payload []byte) error {
	in, err := decodeInput(payload)
	if err != nil {
		return err
	}
	r.memory.begin()
	r.stdout.begin()
	r.stderr.begin()
	var file *files.Host
	if in.file != "" {
		f, err := r.link.takeFile(in.path)
		if err != nil {
			return fmt.Errorf("take the input file: %w", err)
		}
		defer f.Close()
		if file, err = show(in.file, f); err != nil {
			return err
		}
	}
	end := r.guest(in, file)
	if r.memory.refused && (end.outcome == jobs.Exit || end.outcome == jobs.Trap) {
		end = ending{outcome: jobs.MemoryLimit, fuel: end.fuel, reason: "asked for more memory than the limit"}
	}
	f := newFrame(r.outbox, kindReport)
	f = append(f, byte(end.outcome))
	f = putUint(f, uint64(end.exit))
	f = putUint(f, end.fuel)
	f = putUint(f, r.memory.peak)
	f = putUint(f, uint64(ownCPU()))
	f = putText(f, end.reason)
	f = putBytes(f, r.stderr.tail(nil))
	f = putBytes(f, r.stdout.rest())
	r.outbox = f
	_, err = r.link.Write(sealFrame(f))
	return err
}

// guest makes a fresh instance, in a fresh world, and runs it to its end.
func (r *runner) guest(in guestInput, file *files.Host) ending {
	var now clock
	tree := files.New(surroundings{&now, r.memory}, r.data, file)
	config := wazero.NewModuleConfig().
		WithName("").
		WithArgs(in.args...).
		WithStdin(&stdin{chunk: in.stdin, more: in.more, want: r.want}).
		WithStdout(&r.stdout).
		WithStderr(&r.stderr).
		WithFSConfig(wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(tree, "/")).
		WithRandSource(randomness(r.seed, in.number)).
		WithWalltime(now.wall, 1000).
		WithNanotime(now.monotonic, 1).
		WithNanosleep(now.sleep)
	instance, err := r.engine.InstantiateModule(r.ctx, r.program, config.WithStartFunctions())
	if err != nil {
		return endingOf(err)
	}
	defer instance.Close(r.ctx) // gives the memory back; it has no error to give
	end := r.call(instance)
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
		if full := recover(); full == errOutputLimit {
			err = errOutputLimit
		} else if full != nil {
			panic(full)
		}
	}()
	return tree.WriteOut(&r.stdout)
}

// call runs an instance to its end.
func (r *runner) call(instance api.Module) ending {
	if r.fuel > 0 {
		return r.metered(instance)
	}
	_, err := instance.ExportedFunction("_start").Call(r.ctx)
	return endingOf(err)
}

// openData opens the files that every guest sees.
func openData(data []File) ([]files.Host, error) {
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
	r.mustWrite(sealFrame(newFrame(r.outbox, kindWant)))
	kind, payload, grown, err := readFrame(r.in, r.chunk)
	r.chunk = grown
	if err != nil || kind != kindStdin {
		die(fmt.Errorf("read more stdin: frame of kind %q: %w", kind, err))
	}
	return payload, nil
}

// guestInput is an input as it arrives in a run child.
type guestInput struct {
	number uint64
	args   []string // argv, whole
	file   string   // name of the input file, or ""
	path   string   // of the input file on the host
	stdin  []byte
	more   bool // stdin goes on
}

// programName is every guest's argv[0].
const programName = "program"

func decodeInput(payload []byte) (guestInput, error) {
	f := fields{rest: payload}
	in := guestInput{number: f.uint(), args: []string{programName}}
	for n := f.uint(); n > 0 && !f.bad; n-- {
		in.args = append(in.args, f.text())
	}
	in.file = f.text()
	in.path = f.text()
	in.more = f.uint() == 1
	in.stdin = f.bytes()
	if f.bad {
		return in, fmt.Errorf("decode an input: %w", errFrame)
	}
	return in, nil
}
