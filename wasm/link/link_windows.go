package link

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Host is the sandbox's end of the stream to a child: two pipes. Files cannot be handed
// over on them, so a child here opens its input file by path.
type Host struct {
	in  io.ReadCloser
	out io.WriteCloser
}

// Open makes cmd's stdin and stdout the ends of a new stream and returns the others.
func Open(cmd *exec.Cmd) (l *Host, release func(), err error) {
	out, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open a pipe: %w", err)
	}
	in, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open a pipe: %w", err)
	}
	return &Host{in, out}, func() {}, nil
}

// Read reads what the child sent.
func (l *Host) Read(p []byte) (int, error) { return l.in.Read(p) }

// Close ends the stream; an idle child then ends itself.
func (l *Host) Close() error {
	l.in.Close()
	return l.out.Close()
}

// Send writes a frame; the file's path is in the frame.
func (l *Host) Send(frame []byte, _ *os.File) error {
	_, err := l.out.Write(frame)
	return err
}

// Child is the child's end.
type Child struct{}

// OpenChild takes the stream that the parent made the child's stdin and stdout.
func OpenChild() (*Child, error) { return &Child{}, nil }

// Read reads what the parent sent.
func (*Child) Read(p []byte) (int, error) { return os.Stdin.Read(p) }

// Write writes to the parent.
func (*Child) Write(p []byte) (int, error) { return os.Stdout.Write(p) }

// TakeFile opens the input's file.
func (*Child) TakeFile(path string) (*os.File, error) { return os.Open(path) }
