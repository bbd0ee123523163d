package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
)

// mersenneExponents is the published list up to the demo's last number: 2^p−1 is prime.
func mersenneExponents() []int {
	return []int{2, 3, 5, 7, 13, 17, 19, 31, 61, 89, 107, 127, 521, 607, 1279, 2203, 2281, 3217, 4253, 4423}
}

const (
	demoDonors  = 4
	demoLast    = 4500
	demoMeet    = 30 * time.Second // for five nodes to find each other
	demoLook    = 100 * time.Millisecond
	killDonorAt = 20 // percent of the inputs done
	killOwnerAt = 40
)

func (p *program) demoCommand() *cobra.Command {
	var file string
	var last int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "five nodes on this machine, a real job, two of them killed, every answer delivered",
		Long: `Starts a grid of five processes on loopback in a temporary folder, has it look for
Mersenne primes, kills a donor and then the submitter with SIGKILL, and reads the
answers from a node that is left.`,
		Example: `  shoal demo
  shoal demo --program bin/mersenne.wasm`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.demo(cmd.Context(), file, last)
		},
	}
	cmd.Flags().StringVar(&file, "program", "", "`FILE` with the Mersenne program (mersenne.wasm beside shoal)")
	cmd.Flags().IntVar(&last, "to", demoLast, "`N`, the last number that is tried")
	return cmd
}

// demo is a grid of child processes.
type demo struct {
	p         *program
	exe       string
	dir       string // of all homes
	submitter *demoNode
	donors    []*demoNode
	killed    []string // what was killed, and when
	began     time.Time
}

// demoNode is one process of the grid.
type demoNode struct {
	name, home string
	cmd        *exec.Cmd
	client     *api.Client
	ended      chan struct{} // closed when the process has
}

func (p *program) demo(ctx context.Context, file string, last int) (err error) {
	if last < 2 || last > demoLast {
		return usage("shoal demo --to 1000 is quicker", "--to %d: from 2 to %d", last, demoLast)
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the own binary: %w", err)
	}
	if file == "" {
		file = filepath.Join(filepath.Dir(exe), "mersenne.wasm")
	}
	if _, err := checkProgram(file); err != nil {
		if e := api.AsError(err); e.Code == api.CodeNotFound {
			return &api.Error{Code: e.Code, Message: e.Message, Hint: "make demo builds it; or name one with --program FILE"}
		}
		return err
	}
	dir, err := os.MkdirTemp("", "shoal-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	d := &demo{p: p, exe: exe, dir: dir, began: time.Now()}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // Ctrl-C ends the nodes, too: they are not what is wrong
		}
		err = errors.Join(err, d.clear())
	}()
	if err := d.startGrid(ctx); err != nil {
		return err
	}
	id, err := d.submit(ctx, file, last)
	if err != nil {
		return err
	}
	job, err := d.watch(ctx, id)
	if err != nil {
		return err
	}
	found, err := d.results(ctx, id)
	if err != nil {
		return err
	}
	return d.conclude(job, found, last)
}

// startGrid starts five nodes and waits until each knows the other four.
func (d *demo) startGrid(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoMeet, errors.New("the five nodes did not find each other in time"))
	defer cancel()
	d.p.ui.say("starting five nodes on loopback in %s: one submits, %d donate, none is special", d.dir, demoDonors)
	var err error
	if d.submitter, err = d.start("submitter", "up"); err != nil {
		return err
	}
	var id *api.ID
	err = d.until(ctx, func() (done bool) {
		id, err = d.submitter.client.ID(ctx)
		return err == nil && len(id.Addrs) > 0
	})
	if err != nil {
		return err
	}
	for i := range demoDonors {
		donor, err := d.start(fmt.Sprintf("donor %d", i+1), "donate", "--when", "always", "--on-battery", "--cores-in-use", "1", "--cores", "1", "--bootstrap", id.Addrs[0])
		if err != nil {
			return err
		}
		d.donors = append(d.donors, donor)
	}
	for _, n := range append([]*demoNode{d.submitter}, d.donors...) {
		err := d.until(ctx, func() bool {
			s, err := n.client.Status(ctx)
			return err == nil && s.Grid.Peers >= demoDonors
		})
		if err != nil {
			return err
		}
	}
	d.p.ui.say("each of them sees the other four")
	return nil
}

// start starts one process of this same binary.
func (d *demo) start(name string, command ...string) (*demoNode, error) {
	home := filepath.Join(d.dir, strings.ReplaceAll(name, " ", "-"))
	log, err := os.Create(home + ".log")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(d.exe, append(command, "--home", home, "--no-mdns", "--listen", "127.0.0.1:0")...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	n := &demoNode{name: name, home: home, cmd: cmd, client: api.NewClient(home), ended: make(chan struct{})}
	go func() {
		defer close(n.ended)
		cmd.Wait() // it is killed: its exit code says nothing
	}()
	return n, nil
}

// kill ends the process as a power cut would.
func (n *demoNode) kill() {
	n.cmd.Process.Kill() // fails only when it has ended already
	<-n.ended
	n.client.Close()
}

// until looks again and again until cond holds or ctx or a node ends.
func (d *demo) until(ctx context.Context, cond func() bool) error {
	for !cond() {
		for _, n := range append([]*demoNode{d.submitter}, d.donors...) {
			select {
			case <-n.ended:
				return fmt.Errorf("%s ended: %s", n.name, n.lastWords())
			default:
			}
		}
		if !pause(ctx, demoLook) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// lastWords is the end of what a node said.
func (n *demoNode) lastWords() string {
	text, err := os.ReadFile(n.home + ".log")
	if err != nil {
		return "no log"
	}
	return oneLine(string(text[max(0, len(text)-500):]))
}

// command runs a command on a node as a person would, and returns its stdout.
func (d *demo) command(ctx context.Context, on *demoNode, words ...string) (string, error) {
	d.p.ui.say("$ shoal %s", strings.Join(words, " "))
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, d.exe, append(words, "--home", on.home)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if err != nil || !strings.HasPrefix(words[0], "results") {
		for line := range strings.Lines(said.String()) {
			d.p.ui.say("  %s", strings.TrimSuffix(line, "\n"))
		}
	}
	if err != nil {
		return "", fmt.Errorf("shoal %s: %w", words[0], err)
	}
	return strings.TrimSpace(out.String()), nil
}

func (d *demo) submit(ctx context.Context, file string, last int) (string, error) {
	// A short lease: what a killed donor held is given to another after 10 s, not 2 min.
	return d.command(ctx, d.submitter, "submit", file, "--range", fmt.Sprintf("2..%d", last), "--lease", "10s")
}

// watch follows the job from a donor that stays, and kills the others when it is time.
func (d *demo) watch(ctx context.Context, id string) (*api.Job, error) {
	shown := startProgress(d.p.ui)
	defer shown.stop()
	victim, witness := d.donors[0], d.donors[demoDonors-1]
	var last *api.Job
	err := witness.client.Watch(ctx, id, func(j *api.Job) error {
		last = j
		shown.update(j)
		percent := 100 * j.Inputs.Done / max(j.Inputs.Total, 1)
		if len(d.killed) == 0 && percent >= killDonorAt {
			d.killNode(victim, percent)
		}
		if len(d.killed) == 1 && percent >= killOwnerAt {
			d.killNode(d.submitter, percent)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if last == nil || !last.Final {
		return nil, errors.New("the job ended unseen")
	}
	return last, nil
}

func (d *demo) killNode(n *demoNode, percent int64) {
	n.kill()
	d.killed = append(d.killed, fmt.Sprintf("%s at %d %%", n.name, percent))
	d.p.ui.say("killed %s with SIGKILL at %d %%", n.name, percent)
}

// results reads the answers from a donor that is left.
func (d *demo) results(ctx context.Context, id string) ([]int, error) {
	text, err := d.command(ctx, d.donors[1], "results", id)
	if err != nil {
		return nil, err
	}
	var found []int
	for word := range strings.FieldsSeq(text) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("an answer that is no number: %q", word)
		}
		found = append(found, n)
	}
	return found, nil
}

// demoSchema is the form of a demoDocument.
const demoSchema = "shoal.demo/1"

// demoDocument is what a demo has shown, for scripts.
type demoDocument struct {
	Schema     string     `json:"schema"` // demoSchema
	Inputs     api.Inputs `json:"inputs"`
	Units      api.Units  `json:"units"`
	Donors     int        `json:"donors"`
	Executions int64      `json:"executions"`
	Killed     []string   `json:"killed"` // what, and when
	Primes     []int      `json:"primes"`
	Seconds    float64    `json:"seconds"`
}

// conclude prints the summary, and fails if anything in it is not as it should be.
func (d *demo) conclude(j *api.Job, found []int, last int) error {
	doc := demoDocument{demoSchema, j.Inputs, j.Units, j.Donors, j.Executions, d.killed, found, time.Since(d.began).Seconds()}
	if err := d.p.print(doc, func(w io.Writer) { demoSummary(w, j, &doc) }); err != nil {
		return err
	}
	want := slices.DeleteFunc(mersenneExponents(), func(p int) bool { return p > last })
	switch {
	case !slices.Equal(found, want):
		return fmt.Errorf("the primes are not the published ones: %v", want)
	case j.Inputs.Failed > 0 || j.Units.Agreed != j.Units.Total || j.Votes != 2:
		return fmt.Errorf("not every answer was agreed by 2 donors: %d of %d units were", j.Units.Agreed, j.Units.Total)
	case len(d.killed) < 2:
		return errors.New("the job ended before both nodes were killed: try --to with a larger number")
	}
	return nil
}

// clear kills what is left and removes every trace.
func (d *demo) clear() error {
	for _, n := range append([]*demoNode{d.submitter}, d.donors...) {
		if n != nil {
			n.kill()
		}
	}
	return os.RemoveAll(d.dir)
}
