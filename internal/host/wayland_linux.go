package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// wayland is a compositor with ext_idle_notifier_v1: KDE 6, sway, Hyprland and others. It
// says when its first seat has been idle for some seconds, and when it no longer is; a
// film that keeps the screen on counts as use.
type wayland struct {
	env sessionEnv

	mu     sync.Mutex
	conn   net.Conn
	idling time.Time // since when nobody has used it; zero while somebody does
	broken error     // why the connection ended
}

// The compositor is asked for word of this long without input.
const waylandRest = inUseFor

func (*wayland) name() string { return "Wayland" }

func (w *wayland) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.conn.Close() // which ends listen
		w.conn = nil
	}
}

func (w *wayland) idle(ctx context.Context) (time.Duration, error) {
	w.mu.Lock()
	open, broken, idling := w.conn != nil, w.broken, w.idling
	w.mu.Unlock()
	switch {
	case !open:
		return 0, w.open(ctx)
	case broken != nil:
		return 0, fmt.Errorf("the compositor went away: %w", broken)
	case idling.IsZero():
		return 0, nil
	}
	return time.Since(idling), nil
}

func (w *wayland) open(ctx context.Context) error {
	path := w.env.get(ctx, "WAYLAND_DISPLAY")
	if path == "" {
		return errAbsent
	}
	if !filepath.IsAbs(path) {
		run := w.env.get(ctx, "XDG_RUNTIME_DIR")
		if run == "" {
			run = filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
		}
		path = filepath.Join(run, path)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("reach the compositor: %w", err)
	}
	if err := w.use(ctx, conn); err != nil {
		conn.Close()
		return fmt.Errorf("ask the compositor: %w", err)
	}
	return nil
}

// The objects of a connection: the first is given, the others are named by us.
const (
	wlDisplay = iota + 1
	wlRegistry
	wlCallback
	wlSeat
	wlNotifier
	wlNotification
)

// use asks for word of idleness on a new connection, and lets listen hear it.
func (w *wayland) use(ctx context.Context, conn net.Conn) error {
	if at, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(at) // fails only when closed, as the next write does
	}
	const sync, getRegistry, bind, getNotification = 0, 1, 0, 1
	_, err := conn.Write(append(wlMessage(wlDisplay, getRegistry, wlUint(wlRegistry)), wlMessage(wlDisplay, sync, wlUint(wlCallback))...))
	if err != nil {
		return err
	}
	globals, err := wlGlobals(conn)
	if err != nil {
		return err
	}
	seat, notifier := globals["wl_seat"], globals["ext_idle_notifier_v1"]
	if seat == nil || notifier == nil {
		return errors.New("it does not tell of input")
	}
	bindTo := func(number []byte, kind string, id uint32) []byte {
		return wlMessage(wlRegistry, bind, number, wlString(kind), wlUint(1), wlUint(id))
	}
	request := append(bindTo(seat, "wl_seat", wlSeat), bindTo(notifier, "ext_idle_notifier_v1", wlNotifier)...)
	rest := uint32(waylandRest / time.Millisecond)
	request = append(request, wlMessage(wlNotifier, getNotification, wlUint(wlNotification), wlUint(rest), wlUint(wlSeat))...)
	if _, err := conn.Write(request); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	w.mu.Lock()
	w.conn, w.idling, w.broken = conn, time.Time{}, nil
	w.mu.Unlock()
	go w.listen(conn) // ends with conn
	return nil
}

// listen hears the compositor until conn ends.
func (w *wayland) listen(conn net.Conn) {
	for {
		object, opcode, _, err := wlRead(conn)
		w.mu.Lock()
		const idled, resumed = 0, 1
		switch {
		case w.conn != conn: // closed, and perhaps opened again
			w.mu.Unlock()
			return
		case err != nil || object == wlDisplay && opcode == 0:
			w.broken = errors.Join(err, errMalformed)
			w.mu.Unlock()
			return
		case object == wlNotification && opcode == idled:
			w.idling = time.Now().Add(-waylandRest)
		case object == wlNotification && opcode == resumed:
			w.idling = time.Time{}
		}
		w.mu.Unlock()
	}
}

// wlGlobals is the number of the first global of each kind.
func wlGlobals(conn net.Conn) (map[string][]byte, error) {
	globals := map[string][]byte{}
	for range maxEvents {
		object, opcode, body, err := wlRead(conn)
		switch {
		case err != nil:
			return nil, err
		case object == wlDisplay && opcode == 0:
			return nil, errMalformed
		case object == wlCallback:
			return globals, nil
		case object == wlRegistry && opcode == 0 && len(body) >= 8:
			n := int(binary.NativeEndian.Uint32(body[4:]))
			if n < 1 || len(body) < 8+n {
				return nil, errMalformed
			}
			if kind := string(body[8 : 8+n-1]); globals[kind] == nil {
				globals[kind] = body[:4:4]
			}
		}
	}
	return nil, errMalformed
}

// wlRead reads one message: whose it is, which, and what it says, up to 64 KiB.
func wlRead(conn net.Conn) (object uint32, opcode uint16, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return 0, 0, nil, err
	}
	word := binary.NativeEndian.Uint32(head[4:])
	size := int(word >> 16)
	if size < len(head) {
		return 0, 0, nil, errMalformed
	}
	body = make([]byte, size-len(head))
	_, err = io.ReadFull(conn, body)
	return binary.NativeEndian.Uint32(head[:]), uint16(word), body, err
}

func wlMessage(object uint32, opcode uint16, args ...[]byte) []byte {
	size := 8
	for _, a := range args {
		size += len(a)
	}
	m := append(wlUint(object), wlUint(uint32(size)<<16|uint32(opcode))...)
	for _, a := range args {
		m = append(m, a...)
	}
	return m
}

func wlUint(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// wlString is a string with its length and final zero.
func wlString(s string) []byte {
	return padded(wlUint(uint32(len(s)+1)), append([]byte(s), 0))
}
