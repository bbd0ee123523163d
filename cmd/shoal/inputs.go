package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/words"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// jobFlags describe a job on the command line.
type jobFlags struct {
	waitForDonors     bool
	set               *pflag.FlagSet
	lines, span       string
	data              []string
	name, about       string
	memory, maxOutput sizeValue
	fuel, seed        uint64
	time, expires     durationValue
	lease             durationValue
	level, nan        string
	trust             []string
	perUnit           int
	again             bool
	local, dryRun     bool
}

func addJobFlags(set *pflag.FlagSet) *jobFlags {
	f := &jobFlags{set: set, memory: wasm.DefaultMemory, maxOutput: wasm.DefaultOutput}
	f.time.Duration, f.lease.Duration, f.expires.Duration = wasm.DefaultCPU, jobs.DefaultLease, jobs.DefaultLife
	set.StringVar(&f.lines, "lines", "", "each line of `FILE` is an input; - is stdin")
	set.StringVar(&f.span, "range", "", "each number from A to B is an input: `A..B`")
	set.StringArrayVar(&f.data, "data", nil, "`FILE` that every input sees at /data/NAME")
	set.StringVar(&f.name, "name", "", "`TEXT` that people see (the program's file name)")
	set.StringVar(&f.about, "description", "", "`TEXT` that donors read: what it is for")
	set.Var(&f.memory, "memory", "most memory for an input, up to 1GiB")
	set.Var(&f.maxOutput, "max-output", "most output of an input")
	set.Var(&f.time, "time", "most CPU time for an input, like 30s or 20m")
	set.Uint64Var(&f.fuel, "fuel", 0, "most instructions for an input, `N`")
	set.Uint64Var(&f.seed, "seed", 0, "`N` that the program's random numbers come from")
	addNaNFlag(set, &f.nan)
	set.Var(&f.expires, "expires", "when the grid may forget the job, like 36h or 14d, up to 90d")
	set.StringVar(&f.level, "verify", "", "`LEVEL`: trusted, standard, strong or paranoid (standard)")
	set.BoolVar(&f.waitForDonors, "wait-for-donors", false, "submit also what the donors in sight are not enough for")
	set.StringArrayVar(&f.trust, "trust", nil, "`PEER` whose word alone is enough")
	set.IntVar(&f.perUnit, "per-unit", 0, "`N` inputs that are worked on as one (chosen by cost)")
	set.Var(&f.lease, "lease", "how long a donor may be silent, from 5s to 1h")
	set.BoolVar(&f.again, "new", false, "another job even where the same one is known")
	set.BoolVar(&f.local, "local", false, "only on this machine: nothing is shown to the grid")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be submitted, and stop")
	return f
}

// submission is the job that the flags and arguments describe: PROGRAM, INPUTs and, from
// dash on, ARGs. The lines are nil unless the inputs are lines.
func (p *program) submission(f *jobFlags, args []string, dash int) (api.Submission, *lines, error) {
	var none api.Submission
	if dash < 0 {
		dash = len(args)
	}
	if dash == 0 {
		return none, nil, usage("shoal run PROGRAM [INPUT...] [-- ARG...]", "no program given")
	}
	sub := api.Submission{
		Name: f.name, Description: f.about, Args: args[dash:], Memory: uint64(f.memory), Output: uint64(f.maxOutput), Fuel: f.fuel, Time: f.time.Duration, Seed: f.seed, NaN: f.nan,
		Expires: f.expires.Duration, PerUnit: f.perUnit, Lease: f.lease.Duration, New: f.again, Local: f.local, DryRun: f.dryRun,
	}
	if err := f.checkLimits(); err != nil {
		return none, nil, err
	}
	if err := f.policy(&sub); err != nil {
		return none, nil, err
	}
	if err := oneOf("nan", f.nan, nanWords()); err != nil {
		return none, nil, err
	}
	var err error
	if sub.Program, err = checkProgram(args[0]); err != nil {
		return none, nil, err
	}
	if sub.Name == "" {
		sub.Name = filepath.Base(args[0])
	}
	if sub.Data, err = dataFiles(f.data); err != nil {
		return none, nil, err
	}
	lines, err := p.inputs(&sub, f, args[1:dash])
	return sub, lines, err
}

// checkLimits refuses what no node would take.
func (f *jobFlags) checkLimits() error {
	refused := func(format string, args ...any) error {
		return &api.Error{Code: api.CodeRefused, Message: fmt.Sprintf(format, args...), Hint: "shoal run --help lists the limits"}
	}
	if err := checkMemory(f.memory); err != nil {
		return err
	}
	switch {
	case f.maxOutput > jobs.MaxOutput:
		return refused("--max-output %s: at most %s", words.Size(uint64(f.maxOutput)), words.Size(jobs.MaxOutput))
	case f.time.Duration > jobs.MaxCPU:
		return refused("--time %s: at most %s", span(f.time.Duration), span(jobs.MaxCPU))
	case f.expires.Duration > jobs.MaxLife:
		return refused("--expires %s: at most %s", span(f.expires.Duration), span(jobs.MaxLife))
	case f.lease.Duration < jobs.MinLease || f.lease.Duration > jobs.MaxLease:
		return refused("--lease %s: from %s to %s", span(f.lease.Duration), span(jobs.MinLease), span(jobs.MaxLease))
	case f.set.Changed("per-unit") && (f.perUnit < 1 || f.perUnit > jobs.MaxUnitInputs):
		return refused("--per-unit %d: from 1 to %d", f.perUnit, jobs.MaxUnitInputs)
	}
	return nil
}

// checkMemory refuses what no program may have, or can live with.
func checkMemory(m sizeValue) error {
	if m < 1<<16 || m > jobs.MaxMemory {
		return &api.Error{Code: api.CodeRefused, Message: "--memory " + words.Size(uint64(m)) + ": from 64 KiB to " + words.Size(jobs.MaxMemory), Hint: "shoal check PROGRAM --output json says how much it uses"}
	}
	return nil
}

// levelWords are the levels of checking that a job may ask for.
func levelWords() []string {
	return []string{jobs.Trusted.String(), jobs.Standard.String(), jobs.Strong.String(), jobs.Paranoid.String()}
}

// policy sets how answers are checked. Naming peers to trust means that their word is enough.
func (f *jobFlags) policy(sub *api.Submission) error {
	sub.Level, sub.Trust, sub.WaitForDonors = f.level, f.trust, f.waitForDonors
	if sub.Level == "" {
		sub.Level = jobs.Standard.String()
		if len(f.trust) > 0 {
			sub.Level = jobs.Trusted.String()
		}
	}
	if err := oneOf("verify", sub.Level, levelWords()); err != nil {
		return err
	}
	if sub.Level != jobs.Trusted.String() && len(f.trust) > 0 {
		return usage("leave out one of them", "--verify %s and --trust contradict each other: it asks for more than one peer's word", sub.Level)
	}
	for _, peer := range f.trust {
		if _, err := jobs.ParseNodeID(peer); err != nil {
			return usage("shoal peers and shoal id print peer IDs: 12D3Koo…", "--trust: %v", err)
		}
	}
	return nil
}

// checkProgram refuses early what the grid would not take.
func checkProgram(name string) (string, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("find the program: %w", err)
	}
	if err := checkFile("program", name, path); err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open the program: %w", err)
	}
	defer file.Close()
	var refused *wasm.Refused
	if err := wasm.Inspect(file); errors.As(err, &refused) {
		return "", refusedProgram(name, refused)
	} else if err != nil {
		return "", err
	}
	return path, nil
}

func refusedProgram(name string, refused *wasm.Refused) *api.Error {
	return &api.Error{Code: api.CodeRefused, Message: fmt.Sprintf("%s: %s", name, refused.Reason),
		Hint: "build a WASI preview-1 command, as in: GOOS=wasip1 GOARCH=wasm go build -o prog.wasm"}
}

// checkFile makes sure that a file is there and can be read.
func checkFile(what, name, path string) error {
	missing := func(problem string) error {
		return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("%s %s: %s", what, name, problem), Hint: "check the name and the permissions: ls -l " + name}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing("no such file")
	case err != nil:
		return missing(unwrapPath(err))
	case info.IsDir() && what == "program":
		return usage("name the .wasm file in it", "program %s is a folder", name)
	case info.IsDir():
		return usage(fmt.Sprintf("name the files in it: %s/*", strings.TrimSuffix(name, "/")), "%s %s is a folder", what, name)
	case isPipe(info) && readsOnce(what):
		return nil // a look into it would take away what is read
	case !info.Mode().IsRegular():
		return usage("give a file, or pipe into --lines -", "%s %s is no regular file", what, name)
	}
	f, err := os.Open(path)
	if err != nil {
		return missing(unwrapPath(err))
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return missing(unwrapPath(err))
	}
	return nil
}

// isPipe reports whether something is a pipe, as what a shell makes of <(command) is.
func isPipe(info fs.FileInfo) bool { return info.Mode()&fs.ModeNamedPipe != 0 }

// readsOnce reports whether what is called so is read once, from its beginning to its end.
func readsOnce(what string) bool { return what == "lines" || what == "evidence" }

// openOnce opens what is read once. A pipe to which nobody writes is empty, and not waited for.
func openOnce(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// unwrapPath is what is wrong with a file, without its path and the name of a system call.
func unwrapPath(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err.Error()
	}
	return err.Error()
}

// inputs sets where the inputs come from. Lines are opened here, and known not to be empty.
func (p *program) inputs(sub *api.Submission, f *jobFlags, names []string) (*lines, error) {
	sources := 0
	for _, given := range []bool{len(names) > 0, f.lines != "", f.span != ""} {
		if given {
			sources++
		}
	}
	switch {
	case sources == 0:
		return nil, usage("give files, --lines FILE (- is stdin) or --range 1..1000", "no inputs")
	case sources > 1:
		return nil, usage("one job has one kind of inputs", "files, --lines and --range exclude each other")
	case f.span != "":
		first, last, err := jobs.ParseRange(f.span)
		if err != nil {
			return nil, usage("two numbers with two dots between: --range 1..1000", "--range: %v", err)
		}
		sub.Range = &[2]int64{first, last}
		return nil, nil
	case f.lines != "":
		sub.Lines = true
		return p.openLines(f.lines)
	}
	var err error
	sub.Files, err = inputFiles(names)
	return nil, err
}

func (p *program) openLines(name string) (*lines, error) {
	in, what := io.NopCloser(p.stdin), "stdin"
	if name != "-" {
		if err := checkFile("lines", name, name); err != nil {
			return nil, err
		}
		file, err := openOnce(name)
		if err != nil {
			return nil, fmt.Errorf("open the lines: %w", err)
		}
		in, what = file, name
	}
	ahead := bufio.NewReaderSize(in, 64<<10)
	if _, err := ahead.Peek(1); err != nil {
		in.Close()
		if errors.Is(err, io.EOF) {
			return nil, usage("each line is an input; give at least one", "no inputs: %s is empty", what)
		}
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return &lines{ahead, in}, nil
}

// lines are a job's inputs where each is a line; nil where they come otherwise.
type lines struct {
	ahead *bufio.Reader
	in    io.Closer
}

func (l *lines) reader() io.Reader {
	if l == nil {
		return nil
	}
	return l.ahead
}

// close ends the reading; what was opened to be read loses nothing by it.
func (l *lines) close() {
	if l != nil {
		l.in.Close()
	}
}

// sizeValue is a flag that takes sizes.
type sizeValue uint64

func (s *sizeValue) Set(text string) error {
	n, err := config.ParseSize(text)
	if err != nil {
		return errors.New("not a size; write it like 512MiB or 1GiB")
	}
	*s = sizeValue(n)
	return nil
}

// String writes a size as Set reads it; of none, nothing is shown as the default.
func (s *sizeValue) String() string {
	if *s == 0 {
		return ""
	}
	return strings.ReplaceAll(words.Size(uint64(*s)), " ", "")
}

func (s *sizeValue) Type() string { return "SIZE" }

// durationValue is a flag that takes durations, days included, above 0.
type durationValue struct{ time.Duration }

func (d *durationValue) Set(text string) error {
	v, err := parseDuration(text)
	d.Duration = v
	return err
}

func (d *durationValue) Type() string { return "DUR" }

// String writes a duration as Set reads it.
func (d *durationValue) String() string {
	if d.Duration > 0 && d.Duration%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d.Duration/(24*time.Hour))
	}
	text := d.Duration.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func parseDuration(text string) (time.Duration, error) {
	days, isDays := strings.CutSuffix(text, "d")
	if isDays {
		text = days + "h"
	}
	v, err := time.ParseDuration(text)
	switch {
	case err != nil || isDays && v > math.MaxInt64/24:
		return 0, errors.New("not a duration; write it like 10s, 20m, 1h or 14d")
	case v <= 0:
		return 0, errors.New("no time at all; write it like 10s, 20m, 1h or 14d")
	case isDays:
		v *= 24
	}
	return v, nil
}
