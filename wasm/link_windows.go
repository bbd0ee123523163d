package wasm

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// link is the parent's end of the stream to a child: two pipes. Files cannot be handed
// over on them, so a child here opens its input file by path.
type link struct {
	in  io.ReadCloser
	out io.WriteCloser
}

// openLink makes cmd's stdin and stdout the ends of a new stream and returns the others.
func openLink(cmd *exec.Cmd) (l *link, release func(), err error) {
	out, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open a pipe: %w", err)
	}
	in, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open a pipe: %w", err)
	}
	return &link{in, out}, func() {}, nil
}

// Read reads what the child sent.
func (l *link) Read(p []byte) (int, error) { return l.in.Read(p) }

// Close ends the stream; an idle child then ends itself.
func (l *link) Close() error {
	l.in.Close()
	return l.out.Close()
}

// send writes a frame; the file's path is in the frame.
func (l *link) send(frame []byte, _ *os.File) error {
	_, err := l.out.Write(frame)
	return err
}

// childLink is the child's end.
type childLink struct{}

// openChildLink takes the stream that the parent made the child's stdin and stdout.
func openChildLink() (*childLink, error) { return &childLink{}, nil }

// Read reads what the parent sent.
func (*childLink) Read(p []byte) (int, error) { return os.Stdin.Read(p) }

// Write writes to the parent.
func (*childLink) Write(p []byte) (int, error) { return os.Stdout.Write(p) }

// takeFile opens the input's file.
func (*childLink) takeFile(path string) (*os.File, error) { return os.Open(path) }
