package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
)

// screen is where a person reads: stderr, on a terminal with one live line below the rest.
// Writes to stdout go through it too, as both may be the same terminal.
type screen struct {
	tty    bool // stderr is a terminal that can redraw a line
	colour bool
	width  func() int

	mu     sync.Mutex
	w      io.Writer
	live   string // the live line; "" when there is none
	drawn  bool
	inLine bool // stdout, on the same terminal, has not ended its line
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, width: func() int { return 80 }}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.tty = true
		s.colour = os.Getenv("NO_COLOR") == ""
		s.width = func() int {
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
				return width
			}
			return 80
		}
	}
	return s
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Line prints text as a line of its own, above the live line.
func (s *screen) Line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintln(s.w, text) // there is nobody to tell when this fails
	s.draw()
}

// Live replaces the live line; "" removes it. Without a terminal there is none.
func (s *screen) Live(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tty || text == s.live {
		return
	}
	s.clear()
	s.live = text
	s.draw()
}

const clearLine = "\r\x1b[K"

func (s *screen) clear() {
	if s.drawn {
		io.WriteString(s.w, clearLine)
		s.drawn = false
	}
}

func (s *screen) draw() {
	if s.live != "" && !s.inLine {
		io.WriteString(s.w, fit(s.live, s.width()-1))
		s.drawn = true
	}
}

// fit cuts text to the width.
func fit(text string, width int) string {
	if runes := []rune(text); width > 0 && len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// beside is w for output that may appear on the same terminal as the live line.
func (s *screen) beside(w io.Writer) io.Writer {
	if !s.tty || !isTerminal(w) {
		return w
	}
	return &besideWriter{s, w}
}

type besideWriter struct {
	s *screen
	w io.Writer
}

// Write keeps the live line out of the way of an unfinished line.
func (b *besideWriter) Write(p []byte) (int, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.clear()
	n, err := b.w.Write(p)
	if n > 0 {
		b.s.inLine = p[n-1] != '\n'
	}
	b.s.draw()
	return n, err
}

// logger logs to the screen.
func (s *screen) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(lineWriter{s}, &slog.HandlerOptions{Level: level}))
}

type lineWriter struct{ s *screen }

// Write prints one log record.
func (l lineWriter) Write(p []byte) (int, error) {
	l.s.Line(string(bytes.TrimSuffix(p, []byte("\n"))))
	return len(p), nil
}

// Styles of the terminal; without colour they do nothing.
const (
	red  = "\x1b[31m"
	bold = "\x1b[1m"
	dim  = "\x1b[2m"
)

func (s *screen) style(style, text string) string {
	if !s.colour {
		return text
	}
	return style + text + "\x1b[0m"
}

// printable is text that came from elsewhere, with nothing in it that moves a cursor or
// rewrites what was said before.
func printable(text string) string { return strings.Map(visible, text) }

// visible is r, or the replacement character where r does more than show.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return unicode.ReplacementChar
	}
	return r
}
