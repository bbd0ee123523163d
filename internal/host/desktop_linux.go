package host

import (
	"context"
	"errors"
	"time"

	"github.com/godbus/dbus/v5"
)

// mutter is GNOME's compositor, on X11 and Wayland.
type mutter struct{ session *bus }

func (mutter) name() string { return "GNOME" }
func (mutter) close()       {}

func (m mutter) idle(ctx context.Context) (time.Duration, error) {
	const service, path = "org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core"
	var ms uint64
	if err := m.session.call(ctx, service, path, service+".GetIdletime", &ms); err != nil {
		return 0, whetherAbsent(err)
	}
	return milliseconds(ms), nil
}

// screenSaver is the one of KDE, which counts in milliseconds. It is asked under X11 only:
// older ones under Wayland say that there was input just now, always.
type screenSaver struct {
	session *bus
	env     sessionEnv
}

func (screenSaver) name() string { return "the screen saver" }
func (screenSaver) close()       {}

func (s screenSaver) idle(ctx context.Context) (time.Duration, error) {
	if s.env.get(ctx, "WAYLAND_DISPLAY") != "" || s.env.get(ctx, "KDE_FULL_SESSION") == "" {
		return 0, errAbsent
	}
	const service, path = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
	var ms uint32
	if err := s.session.call(ctx, service, path, service+".GetSessionIdleTime", &ms); err != nil {
		return 0, whetherAbsent(err)
	}
	return milliseconds(uint64(ms)), nil
}

// logind knows of every session of the machine whether its desktop called it idle: coarse,
// since a desktop does so after minutes, but also seen by a service of another user's.
type logind struct {
	system *bus
	now    func() time.Time
}

func (logind) name() string { return "logind" }
func (logind) close()       {}

const logindService = "org.freedesktop.login1"

// session is one of ListSessions' answers.
type session struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// maxSessions is how many sessions are looked at.
const maxSessions = 64

func (l logind) idle(ctx context.Context) (time.Duration, error) {
	var all []session
	if err := l.system.call(ctx, logindService, "/org/freedesktop/login1", logindService+".Manager.ListSessions", &all); err != nil {
		return 0, whetherAbsent(err)
	}
	least, found := time.Duration(0), false
	for _, s := range all[:min(len(all), maxSessions)] {
		d, err := l.session(ctx, s.Path)
		switch {
		case errors.Is(err, errAbsent):
			continue
		case err != nil:
			return 0, err
		}
		if !found || d < least {
			least, found = d, true
		}
	}
	if !found {
		return 0, errAbsent
	}
	return least, nil
}

// session is how long a desktop in use has been idle; terminals are seen elsewhere.
func (l logind) session(ctx context.Context, path dbus.ObjectPath) (time.Duration, error) {
	get := func(name string, to any) error {
		return l.system.property(ctx, logindService, string(path), logindService+".Session", name, to)
	}
	var kind, class, state string
	var idle bool
	var since uint64
	for _, p := range []struct {
		name string
		to   any
	}{{"Type", &kind}, {"Class", &class}, {"State", &state}, {"IdleHint", &idle}, {"IdleSinceHint", &since}} {
		if err := get(p.name, p.to); err != nil {
			return 0, whetherAbsent(err) // it may have ended meanwhile
		}
	}
	desktop := kind == "x11" || kind == "wayland" || kind == "mir"
	switch {
	case !desktop || class != "user" || state != "active":
		return 0, errAbsent
	case !idle:
		return 0, nil
	}
	return max(0, l.now().Sub(time.UnixMicro(int64(min(since, 1<<62))))), nil
}

func whetherAbsent(err error) error {
	if absent(err) {
		return errAbsent
	}
	return err
}

// milliseconds that fit.
func milliseconds(ms uint64) time.Duration {
	const longest = uint64(100 * 365 * 24 * time.Hour / time.Millisecond)
	return time.Duration(min(ms, longest)) * time.Millisecond
}
