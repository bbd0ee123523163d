package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/words"
	"github.com/shoalgrid/shoal/jobs"
)

// delivery takes the results of a job, in input order, to where the person wants them.
type delivery struct {
	p      *program
	folder *folder // where each output becomes a file; nil: to stdout
	rows   *rows   // one document an input on stdout; nil: not
	failed int64
	given  int64
}

// deliverFlags say where answers go.
type deliverFlags struct{ dir string }

func addDeliverFlags(set *pflag.FlagSet) *deliverFlags {
	f := &deliverFlags{}
	set.StringVarP(&f.dir, "dir", "d", "", "`DIR` for the answers, one file an input")
	return f
}

// delivery checks, before any work, that answers can go where they should.
func (p *program) delivery(f *deliverFlags) (*delivery, error) {
	d := &delivery{p: p}
	if f.dir == "" {
		return d, nil
	}
	var err error
	d.folder, err = openFolder(f.dir)
	return d, err
}

func (d *delivery) close() error {
	err := d.rows.end()
	if d.folder != nil {
		err = errors.Join(err, d.folder.close())
	}
	return err
}

// begin says of which job the results will be.
func (d *delivery) begin(job string) error {
	d.rows = d.p.rows()
	if d.folder == nil {
		return nil
	}
	return d.folder.begin(job)
}

// resultSchema is the form of a row.
const resultSchema = "shoal.result/1"

// row is what scripts read of one input.
type row struct {
	Schema  string  `json:"schema"` // resultSchema
	N       int64   `json:"n"`
	Name    string  `json:"name"`
	Outcome string  `json:"outcome"`
	Exit    *uint32 `json:"exit"` // null where the program did not end by itself
	Output  *string `json:"output,omitempty"`
	Base64  string  `json:"output_base64,omitempty"` // in place of output that is no text
	File    string  `json:"file,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Stderr  string  `json:"stderr,omitempty"`
	ToldBy  string  `json:"told_by,omitempty"`
	// Provisional says that the answer is not final.
	Provisional bool `json:"provisional,omitempty"`
}

// take delivers one result.
func (d *delivery) take(r api.Result, output io.Reader) error {
	d.given++
	line := row{Schema: resultSchema, N: r.N, Name: r.Name, Outcome: r.Outcome, Exit: exitOf(&r), Reason: r.Reason, Stderr: r.Stderr, ToldBy: r.ToldBy, Provisional: r.Provisional}
	if r.Outcome != api.OutcomeOK {
		d.failed++
		if d.rows == nil {
			d.p.ui.failedInput(r)
			return nil
		}
		return d.rows.add(line)
	}
	switch {
	case d.folder != nil:
		name, err := d.folder.put(outputName(r), output)
		if err != nil {
			return err
		}
		line.File = name
	case d.rows != nil:
		if err := line.embed(r, output); err != nil {
			return err
		}
	default:
		return d.raw(r, output)
	}
	if d.rows == nil {
		return nil
	}
	return d.rows.add(line)
}

// exitOf is the exit code of a program that had one: one that was stopped, or never ran, has none.
func exitOf(r *api.Result) *uint32 {
	if r.Outcome != api.OutcomeOK && r.Outcome != jobs.Exit.String() {
		return nil
	}
	return &r.Exit
}

// outputName is the file that an output becomes below a folder.
func outputName(r api.Result) string {
	if r.IsPath {
		return filepath.FromSlash(r.Name)
	}
	return strconv.FormatInt(r.N, 10) + ".out"
}

// maxEmbedded is how large an output may be inside a line of JSON.
const maxEmbedded = 64 << 20

func (l *row) embed(r api.Result, output io.Reader) error {
	if r.Size > maxEmbedded {
		return usage("add -d DIR: large answers become files", "the answer to %s is too large for a line: %s", inputName(r), words.Size(uint64(r.Size)))
	}
	text, err := io.ReadAll(output)
	if err != nil {
		return err
	}
	if utf8.Valid(text) {
		whole := string(text)
		l.Output = &whole
	} else {
		l.Base64 = base64.StdEncoding.EncodeToString(text)
	}
	return nil
}

// raw writes an output to stdout byte for byte, but what is no text not onto a terminal.
func (d *delivery) raw(r api.Result, output io.Reader) error {
	if d.p.tty {
		var binary error
		if output, binary = textOnly(r, output); binary != nil {
			return binary
		}
	}
	_, err := io.Copy(d.p.stdout, output)
	return err
}

// lookAhead is how much of an output must be text for a terminal to get it.
const lookAhead = 4 << 10

// textOnly returns the output again, or an error if it does not begin as text. What stands
// further behind is made printable.
func textOnly(r api.Result, output io.Reader) (io.Reader, error) {
	head := make([]byte, min(lookAhead, r.Size))
	if _, err := io.ReadFull(output, head); err != nil {
		return nil, err
	}
	if isBinary(head) {
		return nil, usage("add -d DIR, or redirect stdout: > FILE", "the answer to %s is no text, and this is a terminal", inputName(r))
	}
	return io.MultiReader(bytes.NewReader(head), printableReader{bufio.NewReader(output)}), nil
}

// isBinary reports whether a terminal would do more with the bytes than show them. The last
// rune may be cut.
func isBinary(head []byte) bool {
	for utf8.FullRune(head) {
		r, n := utf8.DecodeRune(head)
		switch {
		case r == utf8.RuneError && n == 1:
			return true
		case unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r':
			return true
		}
		head = head[n:]
	}
	return false
}

// printableReader replaces what a terminal would obey.
type printableReader struct{ r *bufio.Reader }

// Read gives whole runes, so out must have room for one.
func (p printableReader) Read(out []byte) (n int, err error) {
	for n+utf8.UTFMax <= len(out) && (n == 0 || p.r.Buffered() > 0) {
		r, _, err := p.r.ReadRune()
		if err != nil {
			return n, err
		}
		n += utf8.EncodeRune(out[n:], visible(r))
	}
	return n, nil
}

// finish says how a delivery of results ended: whether all were there, and whether some failed.
func (d *delivery) finish(j *api.Job) error {
	d.p.ui.degraded(j)
	switch {
	case !j.Final && j.State == api.JobOpen && d.given < j.Inputs.Total:
		return stillOpen(j)
	case d.failed > 0:
		return someFailed(d.failed, j.Job)
	}
	return ending(j)
}

// errForeign means that a folder for answers has something else in it.
var errForeign = errors.New("has files in it that shoal did not write")

func foreign(dir, name string) error {
	return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("folder %s %v, such as %s", dir, errForeign, name), Hint: "name a new folder with -d DIR"}
}
