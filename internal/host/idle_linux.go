package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// idleSource is one way to learn how long nobody has used the desktop. An error that says
// why goes into what people see, errAbsent does not.
type idleSource interface {
	name() string
	idle(ctx context.Context) (time.Duration, error)
	close()
}

// errAbsent is that a source does not exist on this machine.
var errAbsent = errors.New("not here")

// idleChain asks the first desktop source that works, and the terminals always: somebody may
// come in by ssh while the desktop sleeps. When no source works they are tried again once
// in searchEvery, and so are the better ones than the one that does.
type idleChain struct {
	sources   []idleSource // the best first
	current   int          // in sources; len(sources) is none
	searched  time.Time
	terminals func(now time.Time) (time.Duration, error)
	why       error // why no desktop source works, if one should
}

const searchEvery = 30 * time.Second

func newIdleChain(l *linux, system, session *bus) *idleChain {
	env := sessionEnv{session}
	sources := []idleSource{
		mutter{session}, &wayland{env: env}, &x11{env: env}, screenSaver{session, env}, logind{system, time.Now},
	}
	return &idleChain{sources: sources, current: len(sources), terminals: l.terminals}
}

func (c *idleChain) look(ctx context.Context) (Idle, error) {
	desktop, from, known := c.desktop(ctx)
	typed, err := c.terminals(time.Now())
	switch {
	case known && err == nil:
		return Idle{For: min(desktop, typed), Source: from + " and terminals"}, nil
	case known:
		return Idle{For: desktop, Source: from}, nil
	case c.why != nil:
		return Idle{}, c.why // a desktop that nobody can see: terminals say nothing of it
	case err == nil:
		return Idle{For: typed, Source: "terminals"}, nil
	}
	return Idle{None: true, Source: "no input device in sight"}, nil
}

// desktop asks the current source, and looks for another when it fails or it is time to.
func (c *idleChain) desktop(ctx context.Context) (time.Duration, string, bool) {
	if c.current < len(c.sources) {
		s := c.sources[c.current]
		d, err := s.idle(ctx)
		if err == nil && (c.current == 0 || time.Since(c.searched) < searchEvery) {
			return d, s.name(), true
		}
		if err != nil {
			s.close()
			c.current, c.searched = len(c.sources), time.Time{} // look for another at once
		}
	}
	if !c.searched.IsZero() && time.Since(c.searched) < searchEvery {
		return 0, "", false
	}
	return c.search(ctx)
}

// search tries each source for a part of the time that there is.
func (c *idleChain) search(ctx context.Context) (time.Duration, string, bool) {
	c.searched, c.why = time.Now(), nil
	for i, s := range c.sources {
		one, cancel := context.WithTimeout(ctx, patience/4)
		d, err := s.idle(one)
		cancel()
		if err == nil {
			if c.current < len(c.sources) && c.current != i {
				c.sources[c.current].close()
			}
			c.current = i
			return d, s.name(), true
		}
		s.close()
		if !errors.Is(err, errAbsent) && !errors.Is(err, errNoBus) {
			c.why = errors.Join(c.why, fmt.Errorf("%s: %w", s.name(), err))
		}
	}
	c.current = len(c.sources)
	return 0, "", false
}

func (c *idleChain) close() {
	for _, s := range c.sources {
		s.close()
	}
}

// terminals is when somebody last typed on any: on the machine's own screen and keyboard, of
// which one console is the one in front, or from afar. Serial lines are left out: modems and
// sensors talk there. The kernel notes the time in steps of 8 s, but the first key after a
// rest at once.
func (l *linux) terminals(now time.Time) (time.Duration, error) {
	last, found := time.Time{}, false
	note := func(path ...string) {
		var s unix.Stat_t
		if err := unix.Stat(filepath.Join(l.root, "dev", filepath.Join(path...)), &s); err != nil {
			return // it was closed
		}
		found = true
		if at := time.Unix(s.Atim.Unix()); at.After(last) {
			last = at
		}
	}
	if console := l.line("sys/class/tty/tty0/active"); isConsole(console) {
		note(console)
	}
	remote, err := readNames(filepath.Join(l.root, "dev/pts"))
	if err != nil && !errors.Is(err, io.EOF) {
		remote = nil // no such terminals here
	}
	for _, name := range remote {
		if name != "ptmx" {
			note("pts", name)
		}
	}
	if !found {
		return 0, errAbsent
	}
	return max(0, now.Sub(last)), nil
}

// isConsole reports whether name is tty1 or one of those after it.
func isConsole(name string) bool {
	number, ok := strings.CutPrefix(name, "tty")
	return ok && number != "" && number != "0" && strings.Trim(number, "0123456789") == ""
}

// maxTerminals bounds a look at the terminals.
const maxTerminals = 4096

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(maxTerminals)
}

// sessionEnv is where the desktop's servers are: this process's environment, or, for a
// service that was started before the desktop, what the desktop told systemd since.
type sessionEnv struct{ session *bus }

func (e sessionEnv) get(ctx context.Context, name string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	const service, path = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
	var all []string
	if err := e.session.property(ctx, service, path, service+".Manager", "Environment", &all); err != nil {
		return ""
	}
	i := slices.IndexFunc(all, func(v string) bool { return len(v) > len(name) && v[:len(name)+1] == name+"=" })
	if i < 0 {
		return ""
	}
	return all[i][len(name)+1:]
}
