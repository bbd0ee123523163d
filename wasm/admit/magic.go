package admit

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// magic reads the first bytes, and says what a file is that is no module.
func (m *module) magic() {
	head := m.head(512)
	if !bytes.HasPrefix(head, []byte("\x00asm")) {
		refuse("not a wasm file: %s", looks(head))
	}
	if len(head) < 8 {
		refuse("not a wasm file: it is truncated")
	}
	m.skip(8)
	switch version := head[4:8]; {
	case bytes.Equal(version, []byte{1, 0, 0, 0}):
	case version[2] == 1:
		refuse("a WebAssembly component: the grid runs core modules; build for wasip1, not wasip2")
	default:
		refuse("WebAssembly of an unknown version (% x)", version)
	}
}

// looks says what a file's first bytes make it look like.
func looks(head []byte) string {
	known := []struct{ magic, is string }{
		{"\x7fELF", "looks like an ELF executable"},
		{"MZ", "looks like a Windows executable"},
		{"\xcf\xfa\xed\xfe", "looks like a macOS executable"},
		{"\xca\xfe\xba\xbe", "looks like a macOS executable or Java class"},
		{"\x1f\x8b", "looks like a gzip file; unpack it first"},
		{"\x28\xb5\x2f\xfd", "looks like a zstd file; unpack it first"},
		{"BZh", "looks like a bzip2 file; unpack it first"},
		{"\xfd7zXZ", "looks like an xz file; unpack it first"},
		{"PK\x03\x04", "looks like a zip file; unpack it first"},
		{"!<arch>", "looks like a static library"},
		{"BC\xc0\xde", "looks like LLVM bitcode; link it first"},
		{"#!", "looks like a script"},
	}
	for _, k := range known {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return k.is
		}
	}
	switch {
	case len(head) == 0:
		return "it is empty"
	case bytes.HasPrefix([]byte("\x00asm"), head):
		return "it is truncated"
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("(module")), bytes.HasPrefix(bytes.TrimSpace(head), []byte("(component")):
		return "looks like WebAssembly text; assemble it first"
	case isText(head):
		return "looks like text"
	}
	return "its first bytes are not those of a module"
}

// isText reports whether the bytes, which may end within a character, read as text.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n <= 1 {
			return len(head) < utf8.UTFMax && !utf8.FullRune(head)
		}
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
		head = head[n:]
	}
	return true
}

// printable makes a name from a module fit for a message.
func printable(name string) string {
	const shown = 60
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return '?'
	}, name)
	if len(clean) > shown {
		return strings.ToValidUTF8(clean[:shown], "") + "…"
	}
	return clean
}
