package worker

import (
	"bytes"
	"io"
	"os"
)

// spoolMemory is how much of a unit's output stays in memory.
const spoolMemory = 1 << 20

// spool collects a unit's output: in memory while it is small, then in a file.
type spool struct {
	dir  string
	mem  []byte
	file *os.File
	size int64
	err  error
}

func newSpool(dir string) *spool { return &spool{dir: dir} }

// Write appends.
func (s *spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.file == nil && len(s.mem)+len(p) > spoolMemory {
		if s.err = s.spill(); s.err != nil {
			return 0, s.err
		}
	}
	if s.file == nil {
		s.mem = append(s.mem, p...)
		s.size += int64(len(p))
		return len(p), nil
	}
	n, err := s.file.WriteAt(p, s.size)
	s.size += int64(n)
	s.err = err
	return n, err
}

// spill moves the spool to a file, which has no name: nothing is left behind by a crash.
func (s *spool) spill() error {
	f, err := os.CreateTemp(s.dir, "spool-*")
	if err != nil {
		return err
	}
	_ = os.Remove(f.Name()) // where an open file cannot be removed, Close does
	if _, err := f.WriteAt(s.mem, 0); err != nil {
		f.Close()
		return err
	}
	s.file, s.mem = f, nil
	return nil
}

// Len is the number of bytes in the spool.
func (s *spool) Len() int64 { return s.size }

// Truncate drops what was written after n.
func (s *spool) Truncate(n int64) {
	if s.file == nil {
		s.mem = s.mem[:n]
	}
	s.size = n
}

// Reader reads from an offset to the end.
func (s *spool) Reader(from int64) io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem[from:])
	}
	return io.NewSectionReader(s.file, from, s.size-from)
}

// Close drops everything.
func (s *spool) Close() error {
	if s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := s.file.Close()
	_ = os.Remove(name)
	return err
}
