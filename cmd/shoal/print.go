package main

// Documents on stdout: what scripts read. Each says which schema it is of.

import (
	"encoding/json"
	"io"
	"strings"
)

// The forms of output.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatJSONL = "jsonl"
)

func formats() []string { return []string{formatTable, formatJSON, formatJSONL} }

// print writes v as a document where one was asked for, and otherwise what table prints.
func (p *program) print(v any, table func(io.Writer)) error {
	if p.output == formatTable {
		var text strings.Builder
		table(&text)
		_, err := io.WriteString(p.stdout, text.String())
		return err
	}
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	if p.output == formatJSON {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(v)
}

// printList writes a list of documents where they were asked for, and otherwise what table prints.
func printList[T any](p *program, list []T, table func(io.Writer)) error {
	if p.output == formatTable {
		return p.print(nil, table)
	}
	rows := p.rows()
	for i := range list {
		if err := rows.add(list[i]); err != nil {
			return err
		}
	}
	return rows.end()
}

// rows writes documents as they come: each as a line, or all as one list.
type rows struct {
	p *program
	n int
}

// rows is for what comes one by one; nil where no documents were asked for.
func (p *program) rows() *rows {
	if p.output == formatTable {
		return nil
	}
	return &rows{p: p}
}

// add writes the next document.
func (r *rows) add(v any) error {
	if r.p.output == formatJSONL {
		return r.p.print(v, nil)
	}
	before := ",\n  "
	if r.n == 0 {
		before = "[\n  "
	}
	r.n++
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("  ", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(r.p.stdout, before+strings.TrimSuffix(text.String(), "\n"))
	return err
}

// end closes the list, so that it is one also when something went wrong on the way.
func (r *rows) end() error {
	if r == nil || r.p.output == formatJSONL {
		return nil
	}
	text := "\n]\n"
	if r.n == 0 {
		text = "[]\n"
	}
	_, err := io.WriteString(r.p.stdout, text)
	return err
}
