package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// burner is the program of the grid's tests: a few hundred bytes, so that a dozen nodes on two
// cores can each compile it. It takes the first eight bytes of its input for a number, steps a
// generator that often, and writes eight bytes. Inputs that begin with certain letters fail
// instead, each in its own way.
func burner(steps int64) []byte {
	const (
		buffer                    = 0x10 // the one iovec is at 0, and says: from here
		count                     = 0x08 // where fd_read and fd_write say how much
		fdRead, fdWrite, procExit = 0, 1, 2
	)
	write := func(fd int64) []byte {
		return join(i32(fd), i32(0), i32(1), i32(count), []byte{0x10, fdWrite, 0x1a})
	}
	setLength := func(n int64) []byte { return join(i32(4), i32(n), []byte{0x36, 2, 0}) }
	when := func(letter byte, then ...[]byte) []byte { // if buffer[0] == letter { … }
		return join(i32(buffer), []byte{0x2d, 0, 0}, i32(int64(letter)), []byte{0x46, 0x04, 0x40}, join(then...), []byte{0x0b})
	}
	complain := join(setLength(8), write(2))
	code := join(
		i32(0), i32(buffer), []byte{0x36, 2, 0}, setLength(32<<10),
		i32(0), i32(0), i32(1), i32(count), []byte{0x10, fdRead, 0x1a},
		when('x', complain, []byte{0x00}),                                                 // trap
		when('e', complain, i32(3), []byte{0x10, procExit}),                               // exit code 3
		when('m', complain, i32(1<<14), []byte{0x40, 0, 0x1a, 0x00}),                      // asks for 1 GiB, then traps
		when('o', setLength(32<<10), []byte{0x03, 0x40}, write(1), []byte{0x0c, 0, 0x0b}), // writes for ever
		i32(buffer), []byte{0x29, 3, 0, 0x21, 0}, // h = load
		i64(steps), []byte{0x21, 1, 0x03, 0x40}, // n = steps; loop
		[]byte{0x20, 0}, i64(stepFactor), []byte{0x7e}, i64(stepTerm), []byte{0x7c, 0x21, 0}, // h = h·a + c
		[]byte{0x20, 1}, i64(1), []byte{0x7d, 0x22, 1, 0x42, 0, 0x52, 0x0d, 0, 0x0b}, // until --n == 0
		i32(buffer), []byte{0x20, 0, 0x37, 3, 0}, setLength(8), write(1),
	)
	const wasi = "wasi_snapshot_preview1"
	imported := func(n string, kind byte) []byte { return join(name(wasi), name(n), []byte{0, kind}) }
	body := join([]byte{1, 2, 0x7e}, code, []byte{0x0b}) // two locals of i64
	return join(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 3, []byte{0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 0, 0x60, 1, 0x7f, 0}),
		section(2, 3, join(imported("fd_read", 0), imported("fd_write", 0), imported("proc_exit", 2))),
		section(3, 1, []byte{1}),
		section(5, 1, []byte{0, 1}),
		section(7, 2, join(name("_start"), []byte{0, 3}, name("memory"), []byte{2, 0})),
		section(10, 1, join(leb(len(body)), body)),
	)
}

const (
	stepFactor = 6364136223846793005
	stepTerm   = 1442695040888963407
)

// burnt is what the burner answers to an input, computed without a grid and without its steps:
// many steps of h·a + c are one step with other a and c.
func burnt(steps int64, input string) []byte {
	var b [8]byte
	copy(b[:], input)
	h, a, c := binary.LittleEndian.Uint64(b[:]), uint64(stepFactor), uint64(stepTerm)
	for ; steps > 0; steps /= 2 {
		if steps%2 == 1 {
			h = h*a + c
		}
		a, c = a*a, c*(a+1)
	}
	return binary.LittleEndian.AppendUint64(nil, h)
}

// burntRange is the burner's answers to the numbers from 1 to last.
func burntRange(steps int64, last int) []byte {
	var all []byte
	for n := range last {
		all = append(all, burnt(steps, fmt.Sprint(n+1))...)
	}
	return all
}

// writeBurner puts a burner into a file of the test.
func writeBurner(t testing.TB, steps int64) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "burn.wasm")
	if err := os.WriteFile(file, burner(steps), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func i32(v int64) []byte { return append([]byte{0x41}, sleb(v)...) }

func i64(v int64) []byte { return append([]byte{0x42}, sleb(v)...) }

// sleb is v as signed LEB128.
func sleb(v int64) []byte {
	var b []byte
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low < 0x40 || v == -1 && low >= 0x40 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
