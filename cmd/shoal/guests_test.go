package main

import "bytes"

// guests are the programs of the scripts, by file name.
func guests() map[string][]byte {
	const wasi = "wasi_snapshot_preview1"
	return map[string][]byte{
		"echo.wasm":    module("_start", [][2]string{{wasi, "fd_read"}, {wasi, "fd_write"}}, echoCode()),
		"chatty.wasm":  module("_start", [][2]string{{wasi, "fd_write"}}, chattyCode()),
		"hiding.wasm":  module("_start", nil, hidingCode()),
		"nothing.wasm": module("_start", nil, nil),
		"forever.wasm": module("_start", nil, []byte{0x03, 0x40, 0x0c, 0, 0x0b}),
		"magic.wasm":   module("_start", [][2]string{{"env", "magic"}}, nil),
		"nostart.wasm": module("begin", nil, nil),
		"component":    {0, 'a', 's', 'm', 0x0d, 0, 1, 0},
		"elf":          []byte("\x7fELF\x02\x01\x01"),
		"archive.gz":   {0x1f, 0x8b, 8, 0},
		"text":         []byte("hello\n"),
		"empty":        {},
	}
}

// echoCode copies stdin to stdout. Input that begins with x goes to stderr instead, and then
// the program traps.
func echoCode() []byte {
	const (
		buffer = 0x10 // the one iovec is at 0, and says: 32 KiB from here
		read   = 0x08 // where fd_read says how much it read
	)
	return bytes.Join([][]byte{
		{0x02, 0x40, 0x03, 0x40},                                    // block, loop
		{0x41, 0, 0x41, buffer, 0x36, 2, 0},                         // iovec.buf = buffer
		{0x41, 4, 0x41, 0x80, 0x80, 2, 0x36, 2, 0},                  // iovec.len = 32 KiB
		{0x41, 0, 0x41, 0, 0x41, 1, 0x41, read, 0x10, 0, 0x1a},      // fd_read(0, iovec, 1, read)
		{0x41, read, 0x28, 2, 0, 0x45, 0x0d, 1},                     // if read is 0, break
		{0x41, 4, 0x41, read, 0x28, 2, 0, 0x36, 2, 0},               // iovec.len = read
		{0x41, buffer, 0x2d, 0, 0, 0x41, 0xf8, 0, 0x46, 0x04, 0x40}, // if buffer[0] is 'x'
		{0x41, 2, 0x41, 0, 0x41, 1, 0x41, 0x0c, 0x10, 1, 0x1a},      //   fd_write(2, iovec, 1, …)
		{0x00, 0x0b}, //   unreachable
		{0x41, 1, 0x41, 0, 0x41, 1, 0x41, 0x0c, 0x10, 1, 0x1a}, // fd_write(1, iovec, 1, …)
		{0x0c, 0, 0x0b, 0x0b}, // continue
	}, nil)
}

// chattyCode writes "hi" to stderr and ends well.
func chattyCode() []byte {
	return bytes.Join([][]byte{
		{0x41, 16, 0x41, 0xe8, 0xd2, 0x29, 0x36, 2, 0},      // "hi\n" at 16
		{0x41, 0, 0x41, 16, 0x36, 2, 0},                     // iovec.buf
		{0x41, 4, 0x41, 3, 0x36, 2, 0},                      // iovec.len
		{0x41, 2, 0x41, 0, 0x41, 1, 0x41, 8, 0x10, 0, 0x1a}, // fd_write(2, iovec, 1, …)
	}, nil)
}

// hidingCode traps unless a NaN keeps its payload where a computed NaN could be in its place.
func hidingCode() []byte {
	payload := []byte{0x41, 0x81, 0x80, 0x80, 0xfd, 7} // i32.const 0x7fa00001
	return bytes.Join([][]byte{
		payload, {0xbe},
		{0x41, 0, 0xb2, 0x41, 0, 0xb2, 0x95}, // 0/0
		{0x41, 1, 0x1b, 0xbc}, payload,       // select, and its bits
		{0x47, 0x04, 0x40, 0x00, 0x0b}, // if they differ, unreachable
	}, nil)
}

// module assembles a WebAssembly module with a page of memory and one function of the given
// code, exported. The imports are functions of four i32 that return one.
func module(export string, imports [][2]string, code []byte) []byte {
	var imported []byte
	for _, i := range imports {
		imported = append(imported, name(i[0])...)
		imported = append(imported, name(i[1])...)
		imported = append(imported, 0, 0)
	}
	index := byte(len(imports))
	body := append(append([]byte{0}, code...), 0x0b)
	return bytes.Join([][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 2, []byte{0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 0}),
		section(2, index, imported),
		section(3, 1, []byte{1}),
		section(5, 1, []byte{0, 1}),
		section(7, 2, append(append(name(export), 0, index), append(name("memory"), 2, 0)...)),
		section(10, 1, append(leb(len(body)), body...)),
	}, nil)
}

func section(id, count byte, content []byte) []byte {
	content = append([]byte{count}, content...)
	return append(append([]byte{id}, leb(len(content))...), content...)
}

func name(s string) []byte { return append(leb(len(s)), s...) }

// leb is n as unsigned LEB128; n is below 16,384.
func leb(n int) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	return []byte{byte(n) | 0x80, byte(n >> 7)}
}
