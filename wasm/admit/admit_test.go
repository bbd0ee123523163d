package admit_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/shoalgrid/shoal/wasm/admit"
)

func leb(v uint64) []byte {
	var b []byte
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func section(id byte, content ...[]byte) []byte {
	all := join(content...)
	return join([]byte{id}, leb(uint64(len(all))), all)
}

func list(items ...[]byte) []byte { return join(leb(uint64(len(items))), join(items...)) }

func text(s string) []byte { return join(leb(uint64(len(s))), []byte(s)) }

func module(sections ...[]byte) []byte {
	return join([]byte("\x00asm\x01\x00\x00\x00"), join(sections...))
}

var (
	noType    = section(1, list([]byte{0x60, 0, 0}))
	oneFunc   = section(3, list([]byte{0}))
	startFunc = section(7, list(join(text("_start"), []byte{0, 0})))
	emptyCode = section(10, list([]byte{2, 0, 0x0b}))
)

// command is a module whose _start has the given locals and code.
func command(locals []byte, code ...byte) []byte {
	body := join(locals, code, []byte{0x0b})
	return module(noType, oneFunc, startFunc, section(10, list(join(leb(uint64(len(body))), body))))
}

// passing is a module whose _start has the given code, and that has another function, number
// 1 and of type 1, which takes so many values.
func passing(values int, code []byte) []byte {
	body := join([]byte{0}, code, []byte{0x0b})
	return module(section(1, list([]byte{0x60, 0, 0}, join([]byte{0x60}, leb(uint64(values)), bytes.Repeat([]byte{0x7f}, values), []byte{0}))),
		section(3, list([]byte{0}, []byte{1})), startFunc, section(10, list(join(leb(uint64(len(body))), body), []byte{2, 0, 0x0b})))
}

func TestScanSaysWhy(t *testing.T) {
	repeat := func(n int, b ...byte) []byte { return bytes.Repeat(b, n) }
	none := []byte{0}
	importing := func(from, name string) []byte {
		return module(noType, section(2, list(join(text(from), text(name), []byte{0, 0}))), oneFunc, startFunc, emptyCode)
	}
	for _, c := range []struct {
		name   string
		module []byte
		reason string // "" is taken
	}{
		{"smallest", command(none), ""},
		{"with WASI", module(noType, section(2, list(join(text("wasi_snapshot_preview1"), text("fd_write"), []byte{0, 0}))), oneFunc,
			section(5, list([]byte{0, 1})), startFunc, emptyCode), ""},
		{"custom sections anywhere", join(command(none), section(0, text("name"), []byte("whatever"))), ""},

		{"empty", nil, "not a wasm file: it is empty"},
		{"beginning of the magic", []byte("\x00as"), "not a wasm file: it is truncated"},
		{"magic only", []byte("\x00asm"), "not a wasm file: it is truncated"},
		{"ELF", []byte("\x7fELF\x02\x01\x01"), "not a wasm file: looks like an ELF executable"},
		{"gzip", []byte("\x1f\x8b\x08\x00"), "not a wasm file: looks like a gzip file; unpack it first"},
		{"text", []byte("fn main() {}\n"), "not a wasm file: looks like text"},
		{"WAT", []byte("\n (module (func))"), "not a wasm file: looks like WebAssembly text; assemble it first"},
		{"binary", []byte{0xff, 0xfe, 0x00, 0x01}, "not a wasm file: its first bytes are not those of a module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "a WebAssembly component: the grid runs core modules; build for wasip1, not wasip2"},
		{"version 2", []byte("\x00asm\x02\x00\x00\x00"), "WebAssembly of an unknown version (02 00 00 00)"},

		{"function without a body", module(noType, oneFunc, startFunc), "malformed: 1 functions but 0 bodies"},
		{"no start", module(noType, oneFunc, emptyCode), "no _start export: a library, or not built as a command for wasip1"},
		{"nothing at all", module(), "no _start export: a library, or not built as a command for wasip1"},
		{
			"start with parameters", module(section(1, list([]byte{0x60, 1, 0x7f, 0})), oneFunc, startFunc, emptyCode),
			"_start takes 1 parameters and gives 0 results; it should have none",
		},
		{"foreign import", importing("env", "foo"), "imports env.foo, which the grid does not offer; it offers the functions of wasi_snapshot_preview1"},
		{"import not in WASI", importing("wasi_snapshot_preview1", "system"), "imports wasi_snapshot_preview1.system, which the grid does not offer; it offers the functions of wasi_snapshot_preview1"},
		{"import with control characters", importing("e\x1b[31m", "\xff"), "imports e?[31m.?, which the grid does not offer; it offers the functions of wasi_snapshot_preview1"},
		{
			"imported memory", module(section(2, list(join(text("env"), text("memory"), []byte{2, 0, 1})))),
			"imports env.memory (not a function), which the grid does not offer; it offers the functions of wasi_snapshot_preview1",
		},
		{"WASI without memory", importing("wasi_snapshot_preview1", "fd_write"), "imports WASI functions but has no memory for them"},
		{"shared memory", module(section(5, list([]byte{3, 1, 1}))), "has a memory that is shared or of 64 bits, which the grid does not offer (flags 0x03)"},
		{"two memories", module(section(5, list([]byte{0, 1}, []byte{0, 1}))), "2 memories; at most 1 are taken"},

		{"2^32-1 locals", command(join([]byte{1}, leb(1<<32-1), []byte{0x7f})), "function 0 has more than 2000 local variables"},
		{"locals adding up", command(join([]byte{3}, repeat(3, 0xff, 0x07, 0x7f))), "function 0 has more than 2000 local variables"},
		{"2^32-1 functions", module(noType, section(3, leb(1<<32-1))), "4294967295 functions; at most 100000 are taken"},
		{"2^32-1 parameters", module(section(1, []byte{1, 0x60}, leb(1<<32-1))), "4294967295 parameters; at most 1000 are taken"},
		{
			"many parameters and results", module(section(1, list(join([]byte{0x60}, leb(600), repeat(600, 0x7f), leb(600), repeat(600, 0x7f))))),
			"1200 parameters and results of a function; at most 1000 are taken",
		},
		{"many values to a call", passing(1000, repeat(20_000, 0x10, 1)), "function 0 is too costly to compile: 0 local variables, 0 branches, 20000000 values passed in calls"},
		{"many values to an indirect call", passing(1000, repeat(20_000, 0x11, 1, 0)), "function 0 is too costly to compile: 0 local variables, 0 branches, 20000000 values passed in calls"},
		{"many values to a branch", passing(1000, join([]byte{2, 1}, repeat(9_000, 0x41, 0, 0x0d, 0), []byte{0x0b})), "function 0 is too costly to compile: 0 local variables, 9001 branches"},
		{"some values to some calls", passing(10, repeat(20_000, 0x10, 1)), ""},
		{"a call of no function", passing(1, []byte{0x10, 2}), "malformed: function 0 calls function 2 of 2"},
		{"an indirect call of no type", passing(1, []byte{0x11, 2, 0}), "malformed: function 0 uses type 2 of 2"},
		{"a block of no type", passing(1, []byte{2, 2, 0x0b}), "malformed: function 0 uses type 2 of 2"},
		{"2^32-1 data segments", module(section(11, leb(1<<32-1))), "4294967295 data segments; at most 100000 are taken"},
		{"2^32-1 elements", module(noType, oneFunc, section(9, []byte{1, 0, 0x41, 0, 0x0b}, leb(1<<32-1))), "4294967295 elements of a segment; at most 1000000 are taken"},
		{"large table", module(section(4, []byte{1, 0x70, 0}, leb(1<<27))), "has a table that starts with 134217728; at most 1000000 are taken"},
		{"nested loops", command(none, join(repeat(20_000, 3, 0x40), repeat(20_000, 0x0b))...), "function 0 is too costly to compile: 0 local variables, 20000 branches"},
		{
			"locals and loops", command(join([]byte{1}, leb(2000), []byte{0x7f}), join(repeat(5000, 3, 0x40), repeat(5000, 0x0b))...),
			"function 0 is too costly to compile: 2000 local variables, 5000 branches",
		},
		{"branches in a row", command(none, repeat(20_000, 0x41, 0, 0x0d, 0)...), "function 0 is too costly to compile: 0 local variables, 20000 branches"},
		{"br_table", command(none, join([]byte{0x41, 0, 0x0e}, leb(1_000_000), repeat(1_000_001, 0))...), "1000000 targets of one table; at most 16384 are taken"},
		{"large body", command(none, repeat(2<<20, 1)...), "2097154 bytes of a function; at most 1048576 are taken"},
		{"larger than all", join(module(), bytes.Repeat(section(0, repeat(1<<20, 0)), 33)), "truncated or larger than 32 MiB: a section of 1048576 bytes is announced"},

		{"thread instruction", command(none, 0xfe, 0x03, 0x00), "function 0 uses an instruction (0xfe) that the grid does not take"},
		{"tail call", command(none, 0x12, 0x00), "function 0 uses an instruction (0x12) that the grid does not take"},
		{"relaxed SIMD", command(none, 0xfd, 0x80, 0x02), "function 0 uses a vector instruction (0xfd 0x100) that the grid does not take"},
		{"parser difference", command(none, 0xfd, 0xe4, 0x00), "function 0 has an instruction written in a longer form than needed"},
		{"section twice", module(noType, noType), "malformed: section of kind 1 is not in its place"},
		{"unknown section", module(section(13)), "malformed: section of unknown kind 13 at byte 10"},
		{"huge section", join(module(), []byte{1}, leb(1<<32-1)), "truncated or larger than 32 MiB: a section of 4294967295 bytes is announced"},
		{"garbage in a section", module(section(1, []byte{0, 0})), "malformed: what should end at byte 12 ends at 11"},
		{"more than a section", module(section(1, []byte{5})), "malformed: something goes on beyond its end at byte 11"},
		{"body beyond its section", module(noType, oneFunc, section(10, []byte{1, 9, 0, 0x0b})), "malformed: something goes on beyond its end at byte 24"},
		{"overlong number", join(module(), []byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), "malformed: number too long at byte 14"},
		{"number too large", join(module(), []byte{1, 0xff, 0xff, 0xff, 0xff, 0x7f}), "malformed: number too large at byte 14"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			_, err := admit.Scan(bytes.NewReader(c.module))
			t.Logf("%d bytes in %v", len(c.module), time.Since(began))
			got := ""
			if err != nil {
				var refused *admit.Refused
				if !errors.As(err, &refused) {
					t.Fatal(err)
				}
				got = refused.Reason
			}
			if !strings.HasPrefix(got, c.reason) || (c.reason == "") != (got == "") {
				t.Errorf("got  %q\nwant %q", got, c.reason)
			}
			if _, slow := admit.Scan(iotest.OneByteReader(bytes.NewReader(c.module[:min(len(c.module), 1<<16)]))); len(c.module) <= 1<<16 {
				if slow == nil && err != nil || slow != nil && slow.Error() != err.Error() {
					t.Errorf("byte for byte: %v", slow)
				}
			}
		})
	}
}

func TestScanTruncatedAnywhere(t *testing.T) {
	whole := command([]byte{1, 2, 0x7f}, 0x41, 5, 0x1a, 0x02, 0x40, 0x0b)
	if _, err := admit.Scan(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		var refused *admit.Refused
		if _, err := admit.Scan(bytes.NewReader(whole[:n])); !errors.As(err, &refused) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

func TestScanPassesOnReadErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	whole := command([]byte{0})
	for _, n := range []int{0, 4, 8, 9, 20} {
		r := iotest.DataErrReader(iotest.ErrReader(broken))
		_, err := admit.Scan(&prefix{whole[:n], r})
		var refused *admit.Refused
		if !errors.Is(err, broken) || errors.As(err, &refused) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// prefix gives some bytes, then what then gives.
type prefix struct {
	first []byte
	then  interface{ Read([]byte) (int, error) }
}

func (p *prefix) Read(b []byte) (int, error) {
	if len(p.first) == 0 {
		return p.then.Read(b)
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}

func FuzzScan(f *testing.F) {
	f.Add(command([]byte{0}))
	f.Add(command([]byte{1, 2, 0x7f}, 0x41, 5, 0x1a, 0x02, 0x40, 0x0b))
	f.Add(module(noType, section(2, list(join(text("env"), text("memory"), []byte{2, 0, 1})))))
	f.Add(command([]byte{0}, 0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a))
	f.Add([]byte("\x00asm\x0d\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := admit.Scan(bytes.NewReader(b))
		var refused *admit.Refused
		if err != nil && !errors.As(err, &refused) {
			t.Fatal("bytes in memory cannot fail to be read:", err)
		}
	})
}
