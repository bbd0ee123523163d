package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// bus is a connection to a message bus. It is made when it is needed, and again after it
// broke, but not more often than once in retryBus: a machine without a bus pays nothing.
type bus struct {
	address func() (string, error)

	mu     sync.Mutex
	conn   *dbus.Conn
	end    context.CancelFunc
	failed time.Time
	why    error
}

const retryBus = 15 * time.Second

func newBus(address func() (string, error)) *bus { return &bus{address: address} }

var errNoBus = errors.New("there is no message bus")

// systemBusAddress is where the machine's services are.
func systemBusAddress() (string, error) {
	if a := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); a != "" {
		return a, nil
	}
	return busAt("/run/dbus/system_bus_socket")
}

// sessionBusAddress is where the programs of the user's desktop are. Nothing is started to
// have one, which godbus's own search would do.
func sessionBusAddress() (string, error) {
	if a := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); a != "" && a != "autolaunch:" {
		return a, nil
	}
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		run = filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	}
	return busAt(filepath.Join(run, "bus"))
}

func busAt(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", errNoBus
	}
	return "unix:path=" + path, nil
}

// call asks a service for one value. It starts no service that does not run.
func (b *bus) call(ctx context.Context, service, path, method string, result any, args ...any) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	err = conn.Object(service, dbus.ObjectPath(path)).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...).Store(result)
	if err != nil && !conn.Connected() {
		b.drop(conn, err)
	}
	return err
}

// property reads a property of a service's object.
func (b *bus) property(ctx context.Context, service, path, in, name string, to any) error {
	var v dbus.Variant
	if err := b.call(ctx, service, path, "org.freedesktop.DBus.Properties.Get", &v, in, name); err != nil {
		return err
	}
	return dbus.Store([]any{v.Value()}, to)
}

// connect is the connection. A bus that accepts and then says nothing ends with ctx.
func (b *bus) connect(ctx context.Context) (*dbus.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		return b.conn, nil
	}
	if b.why != nil && time.Since(b.failed) < retryBus {
		return nil, b.why
	}
	conn, end, err := dial(ctx, b.address)
	if err != nil {
		b.failed, b.why = time.Now(), err
		return nil, err
	}
	b.conn, b.end, b.why = conn, end, nil
	return conn, nil
}

func dial(ctx context.Context, address func() (string, error)) (*dbus.Conn, context.CancelFunc, error) {
	at, err := address()
	if err != nil {
		return nil, nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	conn, err := dbus.Connect(at, dbus.WithContext(life))
	if !stop() && err == nil {
		conn.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		end()
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
			return nil, nil, errNoBus // a socket that nobody listens on any more
		}
		return nil, nil, fmt.Errorf("the message bus does not answer: %w", err)
	}
	return conn, end, nil
}

func (b *bus) drop(conn *dbus.Conn, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == conn {
		b.end()
		b.conn, b.failed, b.why = nil, time.Now(), fmt.Errorf("the message bus went away: %w", why)
	}
}

func (b *bus) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		b.end()
		b.conn.Close()
		b.conn = nil
	}
}

// absent reports whether err is that nobody offers a service, or not this part of it.
func absent(err error) bool {
	var e dbus.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Name {
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.UnknownMethod",
		"org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.DBus.Error.UnknownInterface", "org.freedesktop.DBus.Error.NotSupported":
		return true
	}
	return false
}

// networkManager tells what kind of connection the machine has.
type networkManager struct{ *bus }

func (m networkManager) look(ctx context.Context) (Network, error) {
	const service, path = "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager"
	var metered uint32
	switch err := m.property(ctx, service, path, service, "Metered", &metered); {
	case absent(err):
		return Network{}, errors.New("NetworkManager does not run")
	case err != nil:
		return Network{}, fmt.Errorf("cannot ask NetworkManager: %w", err)
	}
	// NMMetered: 1 yes, 2 no, 3 and 4 the same as guesses, 0 unknown.
	switch metered {
	case 1, 3:
		return Network{Metered: true}, nil
	case 2, 4:
		return Network{}, nil
	}
	return Network{}, errors.New("NetworkManager does not know")
}
