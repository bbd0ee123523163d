package service

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is the system that has started this process and wants to hear how it is, in the
// way of systemd's sd_notify. Where nothing has asked to, its methods do nothing.
type Manager struct {
	socket   string
	watchdog time.Duration // between two signs of life; 0 for none asked
	alive    time.Time     // the last one
	status   string
}

// TheManager is who started this process. It takes what says so out of the environment:
// children are not to speak for it.
func TheManager() *Manager {
	m := &Manager{socket: os.Getenv("NOTIFY_SOCKET")}
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 63); err == nil && us > 0 {
			// Three signs in the time that one is due in.
			m.watchdog = time.Duration(min(us, int64(time.Hour/time.Microsecond))) * time.Microsecond / 3
		}
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		os.Unsetenv(name) // fails for no name like these
	}
	return m
}

// Ready says that the node does its work.
func (m *Manager) Ready() error { return m.send("READY=1") }

// Stopping says that it is about to end.
func (m *Manager) Stopping() error { return m.send("STOPPING=1") }

// Alive is called again and again while the node answers: it passes on what it does, in
// words, when they change, and the sign of life that a watchdog waits for when it is due.
func (m *Manager) Alive(now time.Time, doing string) error {
	var err error
	if doing = strings.Join(strings.Fields(doing), " "); doing != m.status {
		m.status = doing
		err = m.send("STATUS=" + doing)
	}
	if m.watchdog > 0 && now.Sub(m.alive) >= m.watchdog {
		m.alive = now
		err = errors.Join(err, m.send("WATCHDOG=1"))
	}
	return err
}

// sendTime bounds a message to a manager that does not read.
const sendTime = time.Second

func (m *Manager) send(message string) error {
	if m.socket == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendTime)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixgram", m.socket) // "@" at the beginning is the abstract namespace
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	err = conn.SetWriteDeadline(deadline)
	if err == nil {
		_, err = conn.Write([]byte(message))
	}
	return errors.Join(err, conn.Close())
}
