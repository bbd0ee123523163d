package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/verify"
	"github.com/shoalgrid/shoal/jobs"
)

// verifyFlags say what to hold evidence against.
type verifyFlags struct {
	dir       string
	submitter string
	partial   bool
	rerun     int
	program   string
	lines     string
	data      []string
}

func (p *program) verifyCommand() *cobra.Command {
	f := &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify FILE [INPUT...]",
		Short: "check the evidence of a job offline, trusting nobody",
		Long: `Needs no node and no network, and trusts neither the one who gave the file nor this
release's makers more than it must: every signature, digest and rule is checked here. Exit code
0: all of it holds; 7: refused, with all that is wrong. FILE may be a pipe, or - for stdin.

Evidence proves what the named keys have signed, and that it amounts to these answers. It cannot
prove that two keys are two people, nor that nobody disagreed: a submitter can make up donors.
Make sure that the submitter is who you think (--submitter), and run some units again (--rerun):
they are chosen at random here, and need the job's program and inputs: those that are given, this
home's, or, where a node runs here, those that the grid still has.`,
		Example: `  shoal verify proof -d out                        anyone checks it, with the outputs
  shoal verify proof --rerun 3 --program count.wasm texts/*.txt
  shoal results b5f3k2qa -d out --evidence proof   whoever has the job makes the file`,
		Args: cobra.ArbitraryArgs,
	}
	set := cmd.Flags()
	set.StringVarP(&f.dir, "dir", "d", "", "`DIR` of outputs to compare with what is proved")
	set.StringVar(&f.submitter, "submitter", "", "`PEER` whose job it has to be")
	set.BoolVar(&f.partial, "partial", false, "take a file of a job that was not done")
	set.IntVar(&f.rerun, "rerun", 0, "run `N` units again, chosen at random")
	set.StringVar(&f.program, "program", "", "`FILE` of the job's program (this home's, or the grid's where a node runs)")
	set.StringVar(&f.lines, "lines", "", "the inputs are the lines of `FILE`")
	set.StringArrayVar(&f.data, "data", nil, "data `FILE` of the job")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := someArgs("FILE")(cmd, args); err != nil {
			return err
		}
		if args[0] == "-" && f.lines == "-" {
			return usage("give one of them as a file", "evidence and --lines cannot both be stdin")
		}
		o, err := p.verifyOptions(f, args[1:])
		if err != nil {
			return err
		}
		return p.verify(cmd.Context(), args[0], o)
	}
	return cmd
}

func (p *program) verifyOptions(f *verifyFlags, inputs []string) (verify.Options, error) {
	home, err := p.home()
	if err != nil {
		return verify.Options{}, wrongCall(err)
	}
	o := verify.Options{
		Partial: f.partial, Outputs: f.dir, Except: []string{manifestName}, Rerun: f.rerun,
		Blobs: filepath.Join(home, "blobs"), Cache: filepath.Join(home, compiledDir), Logger: p.log(),
	}
	if f.rerun < 0 {
		return o, usage("--rerun 3 runs three units again", "--rerun %d: not a number from 0", f.rerun)
	}
	if f.dir != "" {
		if err := checkFolder(f.dir); err != nil {
			return o, err
		}
	}
	if f.submitter != "" {
		if o.Submitter, err = jobs.ParseNodeID(f.submitter); err != nil {
			return o, usage("shoal peers and shoal id print peer IDs: 12D3Koo…", "--submitter: %v", err)
		}
	}
	if f.program != "" {
		if o.Program, err = filepath.Abs(f.program); err != nil {
			return o, err
		}
		if err := checkFile("program", f.program, o.Program); err != nil {
			return o, err
		}
	}
	data, err := dataFiles(f.data)
	if err != nil {
		return o, err
	}
	for _, d := range data {
		o.Data = append(o.Data, verify.File(d))
	}
	o.Inputs, err = p.givenInputs(f.lines, inputs)
	return o, err
}

// checkFolder refuses outputs that are in no folder, before anything is read.
func checkFolder(name string) error {
	const hint = "-d DIR is the folder that shoal results wrote: "
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("folder %s: %s", name, unwrapPath(err)), Hint: hint + "ls -ld " + name}
	case !info.IsDir():
		return usage(hint+"shoal results JOB -d DIR", "%s is no folder", name)
	}
	return nil
}

// givenInputs are a job's inputs as they were given to submit; nil where none are.
func (p *program) givenInputs(lines string, names []string) (func() (verify.List, error), error) {
	switch {
	case lines != "" && len(names) > 0:
		return nil, usage("give them as they were given to submit", "files and --lines exclude each other")
	case lines != "":
		in, err := p.openLines(lines)
		if err != nil {
			return nil, err
		}
		return func() (verify.List, error) {
			defer in.close()
			return verify.Lines(in.reader())
		}, nil
	case len(names) == 0:
		return nil, nil
	}
	files, err := inputFiles(names)
	if err != nil {
		return nil, err
	}
	given := make([]verify.File, len(files))
	for i, f := range files {
		given[i] = verify.File(f)
	}
	return func() (verify.List, error) { return verify.Files(given) }, nil
}

// openEvidence opens a file, a pipe, or with "-" what is piped in.
func (p *program) openEvidence(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(p.stdin), nil
	}
	if err := checkFile("evidence", name, name); err != nil {
		return nil, err
	}
	f, err := openOnce(name)
	if err != nil {
		return nil, fmt.Errorf("open the evidence: %w", err)
	}
	return f, nil
}

func (p *program) verify(ctx context.Context, name string, o verify.Options) (err error) {
	f, err := p.openEvidence(name)
	if err != nil {
		return err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })() // a pipe may never end
	s, err := p.running()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if up, _ := answers(ctx, s); up && o.Rerun > 0 { // a node that cannot be asked is none
		o.Fetch = func(ctx context.Context, job jobs.JobID, shard uint32, b jobs.Blob) error {
			return s.Fetch(ctx, job.String(), api.Blob{Shard: shard, Digest: b.Digest.String(), Size: b.Size})
		}
	}
	if name == "-" {
		name = "stdin"
	}
	r, err := verify.Run(ctx, f, o)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if err := p.print(verifyDocumentOf(name, r), func(w io.Writer) { verifyTable(w, r) }); err != nil {
		return err
	}
	if !r.Valid() {
		return refusedEvidence(name, r)
	}
	return nil
}
