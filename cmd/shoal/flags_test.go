package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
)

// refusal is a value that a flag cannot have, and the exit code that says so: 2 where it is none of its
// kind, 7 where it is more or less than the grid gives a job, 4 where it names what is not there.
type refusal struct {
	value string
	code  int
}

func wrong(values ...string) []refusal   { return refusals(api.CodeUsage, values) }
func refused(values ...string) []refusal { return refusals(api.CodeRefused, values) }
func missing(values ...string) []refusal { return refusals(api.CodeNotFound, values) }

func refusals(code int, values []string) (all []refusal) {
	for _, v := range values {
		all = append(all, refusal{v, code})
	}
	return all
}

// badValues says of every flag what it refuses, by its name alone or with its command's before it.
// dir has a program, which is no folder, no list of inputs and no evidence.
func badValues(dir string) map[string][]refusal {
	prog, nowhere := filepath.Join(dir, "echo.wasm"), filepath.Join(dir, "no", "such")
	both := slices.Concat[[]refusal]
	return map[string][]refusal{
		"home": wrong(prog), "output": wrong("xml", ""), "log-level": wrong("loud"), "log-file": wrong(filepath.Join(prog, "log")),

		"lines": missing(nowhere), "range": wrong("1-3", "3..1", "1..", "a..b", "1..99999999999999999999"), "data": missing(nowhere),
		"memory":     both(wrong("lots", "-1", ""), refused("0", "1KiB", "2GiB")),
		"max-output": both(wrong("lots"), refused("1TiB")),
		"time":       both(wrong("10", "0s", "-1s", "soon"), refused("10000h")),
		"expires":    both(wrong("10", "0d", "soon"), refused("91d")),
		"lease":      both(wrong("10", "0s"), refused("1s", "2h")),
		"per-unit":   both(wrong("few", "1.5"), refused("0", "-1", "4097")),
		"fuel":       wrong("-1", "lots"), "seed": wrong("-1", "x", "1.5"), "nan": wrong("never", ""), "verify": wrong("sure"), "trust": wrong("bob", ""),
		"dir": wrong(prog), "evidence": wrong(prog),

		"listen": wrong("99999", "here"), "bootstrap": wrong("192.168.1.20", "/ip4/192.168.1.20/tcp/4901"), "network": wrong("no spaces"),
		"metrics": wrong("9404", "0.0.0.0:9404"), "donate name": wrong("a,b"), "up name": wrong("a,b"),

		"timeout": wrong("10", "0s", "-1s"), "logs input": wrong("0", "-1", "x"), "check input": missing(nowhere),
		"job": wrong(""), "weight": wrong("0", "1001", "x"), "submitter": wrong("bob"), "credit evidence": missing(nowhere),
		"rerun": wrong("-1", "x"), "program": missing(nowhere), "port": wrong("-1", "65536", "x"), "bundle": wrong(nowhere),
		"to": wrong("1", "9999", "x"), "for": wrong("plan9"),

		"sim seed": wrong("-1"), "seeds": wrong("0", "x"), "nodes": wrong("1", "x"), "units": wrong("-1", "x"), "liars": wrong("-1", "2.5", "99", "x"),
	}
}

// anything is every flag that takes any text.
func anything() []string { return []string{"name", "description", "donate pause-for"} }

// TestBadValues gives every flag of every command what it cannot have. Each time that is an error of
// two lines that names the flag or its value, with an exit code that says whose fault it is.
func TestBadValues(t *testing.T) {
	dir := t.TempDir()
	programFile(t, dir)
	values, calls := badValues(dir), documentsOf(dir)
	for _, s := range config.Settings() {
		if name := "donate " + s.Name; s.Wish && !s.OnOff && s.Name != "pause-for" && values[name] == nil {
			values["donate "+s.Name] = wrong("?!")
		}
	}
	home := answersAt(t)
	used := map[string]bool{}
	root := newProgram(strings.NewReader(""), io.Discard, io.Discard, nil).root()
	for _, cmd := range documented(root) {
		if !cmd.Runnable() || cmd.HasAvailableSubCommands() {
			continue
		}
		name := strings.TrimPrefix(cmd.CommandPath(), "shoal ")
		each := func(f *pflag.Flag) {
			key := name + " " + f.Name
			if _, own := values[key]; !own {
				key = f.Name
			}
			if f.Value.Type() == "bool" || f.Name == "help" || slices.Contains(anything(), key) || slices.Contains(anything(), name+" "+f.Name) {
				return
			}
			used[key] = true
			if len(values[key]) == 0 {
				t.Errorf("shoal %s --%s: what does it refuse?", name, f.Name)
			}
			for _, v := range values[key] {
				t.Run(name+" --"+f.Name+"="+v.value, func(t *testing.T) {
					refuses(t, home, v, f.Name, append(strings.Fields(name), strings.Fields(calls[name].args)...))
				})
			}
		}
		cmd.LocalNonPersistentFlags().VisitAll(each)
		if name == "status" {
			cmd.InheritedFlags().VisitAll(each) // the same on all
		}
	}
	for key := range values {
		if !used[key] {
			t.Errorf("there is no flag %s", key)
		}
	}
}

func refuses(t *testing.T, home string, v refusal, flag string, args []string) {
	var out, said strings.Builder
	p := newProgram(strings.NewReader(""), &out, &said, func(nodeOptions) (gridNode, error) { return nil, os.ErrInvalid })
	if flag != "home" {
		args = append(args, "--home", home)
	}
	if flag == "weight" {
		args = append(args, alice)
	}
	if flag == "lines" || flag == "range" { // in place of the inputs
		args = slices.DeleteFunc(args, func(a string) bool { return a == "--range" || a == "1..1" })
	}
	code := p.run(t.Context(), append(args, "--"+flag+"="+v.value))
	if code != v.code || out.Len() > 0 || strings.Count(said.String(), "\n") != 2 || !strings.Contains(said.String(), flag) && !strings.Contains(said.String(), v.value) {
		t.Errorf("exit code %d, not %d; wrote %q, said %q", code, v.code, out.String(), said.String())
	}
}
