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
	"strings"
	"time"
)

// x11 is an X server with the screen saver extension. Only this machine's: a display that
// came with ssh is somebody else's desktop. It speaks the four messages it needs itself,
// because a client library waits for ever for a server that hangs.
type x11 struct {
	env    sessionEnv
	conn   net.Conn
	root   uint32 // the window of all windows
	opcode byte   // of the extension
}

func (*x11) name() string { return "X11" }

func (x *x11) close() {
	if x.conn != nil {
		x.conn.Close()
		x.conn = nil
	}
}

func (x *x11) idle(ctx context.Context) (time.Duration, error) {
	if x.conn == nil {
		if err := x.open(ctx); err != nil {
			return 0, err
		}
	}
	x.deadline(ctx)
	const queryInfo = 1
	reply, err := x.ask(binary.LittleEndian.AppendUint32([]byte{x.opcode, queryInfo, 2, 0}, x.root))
	if err != nil {
		return 0, fmt.Errorf("ask the X server: %w", err)
	}
	return milliseconds(uint64(binary.LittleEndian.Uint32(reply[16:]))), nil
}

func (x *x11) deadline(ctx context.Context) {
	at, _ := ctx.Deadline()    // zero, which is none, where there is none
	_ = x.conn.SetDeadline(at) // fails only when closed, as the next write does
}

func (x *x11) open(ctx context.Context) error {
	if x.env.get(ctx, "WAYLAND_DISPLAY") != "" {
		return errAbsent // Xwayland sees only what its own windows get
	}
	display, ok := localDisplay(x.env.get(ctx, "DISPLAY"))
	if !ok {
		return errAbsent
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", "/tmp/.X11-unix/X"+display)
	if err != nil {
		return fmt.Errorf("reach the X server: %w", err)
	}
	x.conn = conn
	x.deadline(ctx)
	if err := x.greet(cookie(x.authority(ctx), display)); err != nil {
		return fmt.Errorf("greet the X server: %w", err)
	}
	return x.findExtension("MIT-SCREEN-SAVER")
}

// localDisplay is the number of a display of this machine.
func localDisplay(display string) (string, bool) {
	host, number, ok := strings.Cut(display, ":")
	number, _, _ = strings.Cut(number, ".")
	digits := number != "" && len(number) < 6 && strings.Trim(number, "0123456789") == ""
	return number, ok && digits && (host == "" || host == "unix")
}

func (x *x11) authority(ctx context.Context) string {
	if name := x.env.get(ctx, "XAUTHORITY"); name != "" {
		return name
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".Xauthority")
}

const (
	cookieKind   = "MIT-MAGIC-COOKIE-1"
	maxAuthority = 64 << 10
)

// cookie is what opens a display, from the user's file of them; nil where there is none,
// which a server without access control takes.
func cookie(file, display string) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAuthority))
	if err != nil {
		return nil
	}
	// Entries: family, then address, display, kind and cookie, each with its length before it.
	for len(data) >= 2 {
		data = data[2:]
		var fields [4][]byte
		for i := range fields {
			if len(data) < 2 {
				return nil
			}
			n := int(binary.BigEndian.Uint16(data))
			if len(data) < 2+n {
				return nil
			}
			fields[i], data = data[2:2+n], data[2+n:]
		}
		if number := string(fields[1]); (number == "" || number == display) && string(fields[2]) == cookieKind {
			return fields[3]
		}
	}
	return nil
}

// greet opens the connection and learns the root window.
func (x *x11) greet(key []byte) error {
	kind := cookieKind
	if key == nil {
		kind = ""
	}
	hello := []byte{'l', 0, 11, 0, 0, 0}
	hello = binary.LittleEndian.AppendUint16(hello, uint16(len(kind)))
	hello = binary.LittleEndian.AppendUint16(hello, uint16(len(key)))
	hello = append(hello, 0, 0)
	hello = append(padded(hello, []byte(kind)), padded(nil, key)...)
	if _, err := x.conn.Write(hello); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(x.conn, head[:]); err != nil {
		return err
	}
	body := make([]byte, 4*int(binary.LittleEndian.Uint16(head[6:]))) // 256 KiB at most
	if _, err := io.ReadFull(x.conn, body); err != nil {
		return err
	}
	if head[0] != 1 {
		reason := strings.ToValidUTF8(string(body[:min(len(body), int(head[1]))]), "")
		return errors.New("it refuses: " + strings.TrimSpace(reason))
	}
	if len(body) < 32 {
		return errMalformed
	}
	vendor, formats := int(binary.LittleEndian.Uint16(body[16:])), int(body[21])
	screen := 32 + (vendor+3)/4*4 + 8*formats
	if len(body) < screen+4 {
		return errMalformed
	}
	x.root = binary.LittleEndian.Uint32(body[screen:])
	return nil
}

var errMalformed = errors.New("it does not answer as it should")

func (x *x11) findExtension(name string) error {
	const queryExtension = 98
	q := []byte{queryExtension, 0}
	q = binary.LittleEndian.AppendUint16(q, uint16(2+(len(name)+3)/4))
	q = binary.LittleEndian.AppendUint16(q, uint16(len(name)))
	q = padded(append(q, 0, 0), []byte(name))
	reply, err := x.ask(q)
	if err != nil {
		return fmt.Errorf("ask the X server: %w", err)
	}
	if reply[8] == 0 {
		return errors.New("the X server has no " + name)
	}
	x.opcode = reply[9]
	return nil
}

// maxEvents is how many unasked-for messages may come before an answer.
const maxEvents = 1000

// ask sends a request whose answer has no more than 32 bytes.
func (x *x11) ask(request []byte) ([]byte, error) {
	if _, err := x.conn.Write(request); err != nil {
		return nil, err
	}
	reply := make([]byte, 32)
	for range maxEvents {
		if _, err := io.ReadFull(x.conn, reply); err != nil {
			return nil, err
		}
		const failed, answer, longEvent = 0, 1, 35
		longer := binary.LittleEndian.Uint32(reply[4:]) != 0
		switch kind := reply[0] &^ 0x80; {
		case kind == failed:
			return nil, fmt.Errorf("error %d of the X server", reply[1])
		case (kind == answer || kind == longEvent) && longer:
			return nil, errMalformed
		case kind == answer:
			return reply, nil
		}
	}
	return nil, errMalformed
}

// padded appends b, filled up to a multiple of four bytes.
func padded(to, b []byte) []byte {
	return append(append(to, b...), make([]byte, (4-len(b)%4)%4)...)
}
