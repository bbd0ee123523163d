package service

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// LogFile is a log that does not outgrow its disk: when the file is full it becomes NAME.1,
// what was that becomes NAME.2, and the oldest goes.
type LogFile struct {
	path string
	size int64 // at most, of each
	kept int   // beside the one that is written

	mu      sync.Mutex
	file    *os.File
	written int64
}

// How large a log file grows, and how many old ones are kept.
const (
	logSize = 10 << 20
	logKept = 3
)

// OpenLog goes on with a log file, or begins it.
func OpenLog(path string) (*LogFile, error) { return openLog(path, logSize, logKept) }

func openLog(path string, size int64, kept int) (*LogFile, error) {
	l := &LogFile{path: path, size: size, kept: kept}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the log's folder: %w", err)
	}
	return l, l.open()
}

func (l *LogFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open the log: %w", err)
	}
	l.file, l.written = f, info.Size()
	return nil
}

// Write adds a record, all of it to one file.
func (l *LogFile) Write(record []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, os.ErrClosed
	}
	if l.written > 0 && l.written+int64(len(record)) > l.size {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(record)
	l.written += int64(n)
	return n, err
}

// rotate begins a new file. Where the old one cannot be put aside it is begun again, because
// a full disk would be worse than a lost log.
func (l *LogFile) rotate() error {
	l.file.Close() // what it would say, the writes have said
	l.file = nil
	for i := l.kept - 1; i >= 1; i-- {
		_ = os.Rename(l.old(i), l.old(i+1)) // it need not be there
	}
	if err := os.Rename(l.path, l.old(1)); err != nil {
		if err := os.Truncate(l.path, 0); err != nil {
			return fmt.Errorf("begin a new log: %w", err)
		}
	}
	return l.open()
}

func (l *LogFile) old(n int) string { return fmt.Sprintf("%s.%d", l.path, n) }

// Close ends the log.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
