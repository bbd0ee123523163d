//go:build unix

package link

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Host is the sandbox's end of the stream to a child: a Unix socket, because open files
// can be handed over on it to a child that may open none itself.
type Host struct {
	conn *net.UnixConn
}

// Open makes cmd's stdin one end of a new stream and returns the other. The caller
// runs release once cmd has started or failed to.
func Open(cmd *exec.Cmd) (l *Host, release func(), err error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, nil, fmt.Errorf("open a socket pair: %w", err)
	}
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("open a socket pair: %w", err)
	}
	cmd.Stdin = theirs
	return &Host{conn.(*net.UnixConn)}, func() { theirs.Close() }, nil
}

// Read reads what the child sent.
func (l *Host) Read(p []byte) (int, error) { return l.conn.Read(p) }

// Close ends the stream; an idle child then ends itself.
func (l *Host) Close() error { return l.conn.Close() }

// Send writes a frame; file, when not nil, goes along with it.
func (l *Host) Send(frame []byte, file *os.File) error {
	if file == nil {
		_, err := l.conn.Write(frame)
		return err
	}
	n, _, err := l.conn.WriteMsgUnix(frame, unix.UnixRights(int(file.Fd())), nil)
	if err == nil && n < len(frame) {
		_, err = l.conn.Write(frame[n:])
	}
	return err
}

// Child is the child's end. It uses plain blocking system calls: a child has nothing
// else to do while it waits, so it need not pay for a poller.
type Child struct {
	socket  int
	control []byte
	file    *os.File // arrived with the last input, not yet taken
}

// OpenChild takes the stream that the parent made the child's stdin.
func OpenChild() (*Child, error) {
	if err := unix.SetNonblock(0, false); err != nil {
		return nil, fmt.Errorf("take the stream to the parent: %w", err)
	}
	return &Child{socket: 0, control: make([]byte, unix.CmsgSpace(4))}, nil
}

// Read reads what the parent sent, and keeps a file that came with it.
func (l *Child) Read(p []byte) (int, error) {
	for {
		n, controlN, _, _, err := unix.Recvmsg(l.socket, p, l.control, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		case controlN > 0:
			return n, l.keep(l.control[:controlN])
		}
		return n, nil
	}
}

func (l *Child) keep(control []byte) error {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		for _, fd := range fds {
			l.file = os.NewFile(uintptr(fd), "input")
		}
	}
	return nil
}

// Write writes all of a frame to the parent.
func (l *Child) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n, err := unix.Write(l.socket, p[done:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}

// TakeFile opens the file that came with the input; path is for systems where none can come.
func (l *Child) TakeFile(string) (*os.File, error) {
	f := l.file
	l.file = nil
	if f == nil {
		return nil, fmt.Errorf("input file: %w", os.ErrNotExist)
	}
	return f, nil
}
