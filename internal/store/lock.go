package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// closedMark in the lock file means that the last owner of the home closed it in order.
// Anything else there means that it did not: then the next one looks at everything.
const closedMark = "closed\n"

// errLocked is what tryLock returns when another process has the lock.
var errLocked = errors.New("locked")

// homeLock is the lock on a home. The kernel drops it when the process ends in any way;
// the file stays, as removing it would let two processes lock two files of one name.
type homeLock struct{ f *os.File }

// lockHome takes the lock and reports whether the home was closed in order, or is new.
func lockHome(home string) (_ *homeLock, clean bool, err error) {
	f, err := os.OpenFile(filepath.Join(home, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("lock home: %w", err)
	}
	switch err := tryLock(f); {
	case errors.Is(err, errLocked):
		text := readSome(f)
		f.Close()
		pid, _ := strconv.Atoi(strings.TrimSpace(text)) // 0 while the owner has not written it
		return nil, false, &InUse{Home: home, PID: pid}
	case err != nil:
		f.Close()
		return nil, false, fmt.Errorf("lock home: %w", err)
	}
	was := readSome(f)
	l := &homeLock{f: f}
	if err := l.mark(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		f.Close()
		return nil, false, fmt.Errorf("lock home: %w", err)
	}
	return l, was == closedMark || was == "", nil
}

func readSome(f *os.File) string {
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0) // what cannot be read counts as not there
	return string(b[:n])
}

func (l *homeLock) mark(text string) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(text), 0)
	return err
}

func (l *homeLock) unlock(clean bool) error {
	var err error
	if clean {
		err = l.mark(closedMark)
	}
	return errors.Join(err, l.f.Close())
}
