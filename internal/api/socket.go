package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shoalgrid/shoal/internal/whole"
)

// Files in a home.
const (
	socketName = "api.sock" // the socket
	addrName   = "api.addr" // where the socket is instead, when the home's path is too long for one
)

// tempPattern names the private folder of a socket that does not fit into its home.
const tempPattern = "shoal-api-"

// maxSocketPath is what sockaddr_un has room for, without the final NUL.
func maxSocketPath() int {
	if runtime.GOOS == "darwin" {
		return 103
	}
	return 107
}

// Listen opens the socket of a home. The caller has the home's lock, so what is there was
// left by a node that was killed, and is removed. Closing the listener removes everything
// that Listen has made.
func Listen(home string) (net.Listener, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, fmt.Errorf("find the home: %w", err)
	}
	if err := sweep(home); err != nil {
		return nil, fmt.Errorf("remove an old socket: %w", err)
	}
	path := filepath.Join(home, socketName)
	if len(path) <= maxSocketPath() {
		return listenAt(path, func() error { return nil })
	}
	return listenElsewhere(home)
}

// listenElsewhere opens the socket in a private folder with a short path, and says in the
// home where that is.
func listenElsewhere(home string) (net.Listener, error) {
	dir, err := tempFolder()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, socketName)
	addr := filepath.Join(home, addrName)
	l, err := listenAt(path, func() error { return errors.Join(os.Remove(addr), os.Remove(dir)) })
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	if err := whole.Write(addr, []byte(path+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("say where the node's socket is: %w", err), l.Close())
	}
	return l, nil
}

// tempFolder makes a private folder whose path leaves room for a socket's.
func tempFolder() (string, error) {
	for _, parent := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), "/tmp"} {
		// MkdirTemp appends at most ten digits.
		if parent == "" || len(filepath.Join(parent, tempPattern, socketName))+10 > maxSocketPath() {
			continue
		}
		if dir, err := os.MkdirTemp(parent, tempPattern); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no folder for temporary files has a path short enough for a socket")
}

func listenAt(path string, after func() error) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the node's socket: %w", err)
	}
	// The folder already keeps others out; the mode does so where the folder was opened up.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close the node's socket to others: %w", err), l.Close())
	}
	return &listener{l, after}, nil
}

// listener also removes what was made around its socket.
type listener struct {
	net.Listener
	after func() error
}

// Close stops listening and removes the socket.
func (l *listener) Close() error {
	if err := l.Listener.Close(); err != nil { // also the second Close
		return err
	}
	return l.after()
}

// sweep removes the socket of a node that was killed.
func sweep(home string) error {
	if elsewhere, err := readAddr(home); err == nil && strings.HasPrefix(filepath.Base(filepath.Dir(elsewhere)), tempPattern) {
		// The folder may have gone with a restart of the machine: best effort.
		os.Remove(elsewhere)
		os.Remove(filepath.Dir(elsewhere))
	}
	for _, name := range []string{addrName, socketName} {
		if err := os.Remove(filepath.Join(home, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func readAddr(home string) (string, error) {
	text, err := os.ReadFile(filepath.Join(home, addrName))
	return strings.TrimSpace(string(text)), err
}

// errNoAddr means that a home whose path is too long says of no socket elsewhere.
var errNoAddr = errors.New("no socket named in the home")

// dial connects with the node of a home.
func dial(ctx context.Context, home string) (net.Conn, error) {
	path := filepath.Join(home, socketName)
	if len(path) > maxSocketPath() {
		elsewhere, err := readAddr(home)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoAddr, err)
		}
		path = elsewhere
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}
