package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm"
)

// compiledDir is where a home keeps compiled programs.
const compiledDir = "compiled"

// checkDocument is what check finds out about a program.
type checkDocument struct {
	Schema      string `json:"schema"` // shoal.check/1
	Accepted    bool   `json:"accepted"`
	Reason      string `json:"reason"`   // why not, or why it failed
	Finished    bool   `json:"finished"` // within the time
	Outcome     string `json:"outcome"`
	Exit        uint32 `json:"exit"`
	Tuple       string `json:"tuple"` // what donors would be compared by, in hex
	Fuel        uint64 `json:"fuel"`  // instructions executed
	OutputBytes uint64 `json:"output_bytes"`
	PeakMemory  uint64 `json:"peak_memory"`
	// Interpreted says why the third run, by the interpreter, was skipped or what it gave
	// otherwise; "" when it agrees.
	Interpreted string   `json:"interpreted"`
	Fixed       []string `json:"fixed"` // what the program asks for and the grid decides
}

// checkFlags say how check runs a program.
type checkFlags struct {
	input  string
	nan    string
	memory sizeValue
	full   bool
}

func (p *program) checkCommand() *cobra.Command {
	f := &checkFlags{memory: wasm.DefaultMemory}
	cmd := &cobra.Command{
		Use:   "check PROGRAM [-- ARG...]",
		Short: "say whether the grid would take a program, and run it here, twice and once interpreted",
		Long: `Needs no node. Exit code 0: accepted; 7: refused; 5: accepted, but it failed on this
input or did not finish.`,
		Example: `  shoal check prog.wasm
  shoal check prog.wasm --input text.txt --output json`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&f.input, "input", "", "`FILE` that it reads on stdin (nothing)")
	cmd.Flags().Var(&f.memory, "memory", "most memory, up to 1GiB")
	addNaNFlag(cmd.Flags(), &f.nan)
	cmd.Flags().BoolVar(&f.full, "full", false, "go on after 3 s of CPU a run")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		own := args
		var forProgram []string
		if dash := cmd.ArgsLenAtDash(); dash >= 0 {
			own, forProgram = args[:dash], args[dash:]
		}
		if err := exactArgs("PROGRAM")(cmd, own); err != nil {
			return err
		}
		return p.check(cmd.Context(), f, own[0], forProgram)
	}
	return cmd
}

func addNaNFlag(set *pflag.FlagSet, nan *string) {
	set.StringVar(nan, "nan", api.NaNLazy, "`HOW` NaNs become the same everywhere: lazy, or eager, which keeps their payloads")
}

func nanWords() []string { return []string{api.NaNLazy, api.NaNEager} }

// check prints the document in every case, also when there is no such program.
func (p *program) check(ctx context.Context, f *checkFlags, name string, args []string) error {
	if err := oneOf("nan", f.nan, nanWords()); err != nil {
		return err
	}
	if err := checkMemory(f.memory); err != nil {
		return err
	}
	var input []byte
	if f.input != "" {
		if err := checkFile("input", f.input, f.input); err != nil {
			return err
		}
		var err error
		if input, err = os.ReadFile(f.input); err != nil {
			return fmt.Errorf("read the input: %w", err)
		}
	}
	doc := checkDocument{Schema: "shoal.check/1", Fixed: []string{}}
	path, verdict := checkProgram(name)
	if verdict == nil {
		verdict = p.try(ctx, f, path, name, args, input, &doc)
	}
	if interrupted(verdict) {
		return verdict
	}
	if verdict != nil {
		doc.Reason = api.AsError(verdict).Message
	}
	if err := p.print(doc, func(w io.Writer) { checkTable(w, name, &doc) }); err != nil {
		return err
	}
	return verdict
}

// try runs the program on one input in fresh sandboxes, and fills doc.
func (p *program) try(ctx context.Context, f *checkFlags, path, name string, args []string, input []byte, doc *checkDocument) error {
	home, err := p.home()
	if err != nil {
		return wrongCall(err)
	}
	sandbox, err := wasm.New(wasm.Options{
		CacheDir: filepath.Join(home, compiledDir), Prefix: strings.Fields(os.Getenv("SHOAL_EXEC_PREFIX")), Logger: p.log(),
	})
	if err != nil {
		return err
	}
	digest, err := digestOf(path)
	if err != nil {
		return err
	}
	spec := wasm.Spec{Program: wasm.Program{Path: path, Digest: digest}, Profile: wasm.DefaultProfile, Limits: wasm.Limits{Memory: uint64(f.memory)}}
	if f.nan == api.NaNEager {
		spec.Profile = wasm.EagerProfile
	}
	report, err := sandbox.Check(ctx, spec, wasm.Input{Args: args, Stdin: bytes.NewReader(input)}, f.full)
	if err != nil {
		return err
	}
	return doc.judge(name, report)
}

// judge says what the runs mean.
func (d *checkDocument) judge(name string, c wasm.CheckReport) error {
	r := c.Report
	d.Accepted, d.Finished, d.Interpreted = c.Accepted, c.Accepted && c.Finished, c.Interpreted
	d.Fixed = append(d.Fixed, c.Fixed...)
	d.Outcome, d.Exit, d.OutputBytes, d.PeakMemory, d.Fuel = r.Outcome.String(), r.Exit, r.Size, r.PeakMemory, r.Fuel
	switch {
	case !c.Accepted && c.Finished:
		return &api.Error{Code: api.CodeRefused, Message: name + " " + c.Reason, Hint: "the grid compares answers byte for byte: remove what differs between two runs"}
	case !c.Accepted:
		d.Outcome = ""
		return refusedProgram(name, &wasm.Refused{Reason: c.Reason})
	case !c.Finished:
		return &api.Error{Code: api.CodeFailed, Message: fmt.Sprintf("%s did not finish: %s", name, c.Reason), Hint: "--full gives it more time, --memory more memory, --input another input"}
	}
	d.Tuple = jobs.TuplesDigest([]jobs.Tuple{r.Tuple()}).String()
	if r.Outcome != jobs.OK {
		failed := api.Result{Outcome: r.Outcome.String(), Exit: r.Exit, Reason: r.Reason}
		return &api.Error{Code: api.CodeFailed, Message: fmt.Sprintf("%s failed on this input: %s%s", name, failureWords(failed), lastLine(r.Stderr)), Hint: "the grid takes it, and would report this input as failed; --input tries another"}
	}
	return nil
}

func digestOf(path string) (jobs.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return jobs.Digest{}, fmt.Errorf("open the program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return jobs.Digest{}, fmt.Errorf("read the program: %w", err)
	}
	return jobs.Digest(h.Sum(nil)), nil
}
