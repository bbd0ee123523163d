package door

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// dial opens a connection to the door, on which a test says what no client library would.
func (h *house) dial() net.Conn {
	h.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// hear reads one answer.
func hear(t *testing.T, c net.Conn) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// hangsUp waits until the other end has closed the connection.
func hangsUp(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection is still open", what)
	}
}

// header begins a request of the house's own page.
func (h *house) header(request, cookie string, more ...string) string {
	host := strings.TrimPrefix(h.base, "http://")
	lines := append([]string{request + " HTTP/1.1", "Host: " + host, "Origin: " + h.base, cookie}, more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// A client that keeps the node waiting is hung up on: in its headers, in a body that is read, and in
// one that is refused unread.
func TestSlowClientsAreHungUpOn(t *testing.T) {
	h := open(t, Config{
		Home: t.TempDir(), Headers: 50 * time.Millisecond, Stall: 50 * time.Millisecond,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(w, r.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
		}),
	})
	cookie := h.enter()
	half := []string{"Content-Type: application/json", "Content-Length: 10"}
	for what, text := range map[string]string{
		"half a header":             "GET / HTTP/1.1\r\nHost:",
		"half a body":               h.header("POST /", cookie, half...) + "{",
		"half a body, no session":   h.header("POST /", "Cookie: a=b", half...) + "{",
		"half a body, wrong origin": "POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 10\r\n\r\n{",
	} {
		c := h.dial()
		say(t, c, text)
		hangsUp(t, what, c)
	}
}

// What takes long without standing still is not cut: a body that trickles, what is done with it
// afterwards, and an answer that trickles.
func TestPatientWithWhatMoves(t *testing.T) {
	const stall = 200 * time.Millisecond
	h := open(t, Config{
		Home: t.TempDir(), Stall: stall,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			tick := time.NewTicker(stall / 2)
			defer tick.Stop()
			for range 6 {
				select {
				case <-tick.C:
					fmt.Fprint(w, ".")
					err = errors.Join(err, http.NewResponseController(w).Flush())
				case <-r.Context().Done():
					err = errors.Join(err, r.Context().Err())
				}
			}
			fmt.Fprintf(w, " %s %v", text, err)
		}),
	})
	cookie := h.enter()
	trickle := h.dial()
	say(t, trickle, h.header("POST /", cookie, "Content-Type: application/json", "Content-Length: 6"))
	tick := time.NewTicker(stall / 4)
	defer tick.Stop()
	for range 6 {
		<-tick.C
		say(t, trickle, "1")
	}
	look := h.dial()
	say(t, look, h.header("GET /", cookie))
	for c, want := range map[net.Conn]string{trickle: "...... 111111 <nil>", look: "......  <nil>"} {
		text, err := io.ReadAll(hear(t, c).Body)
		if err != nil || string(text) != want {
			t.Errorf("%q, %v; not %q", text, err, want)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	h := open(t, Config{Home: t.TempDir()})
	cookie := h.enter()
	c := h.dial()
	// The server answers before all is sent: then the rest cannot be.
	_, _ = io.WriteString(c, h.header("GET /", cookie, "X-Much: "+strings.Repeat("x", 2*maxHeader)))
	if got := hear(t, c).StatusCode; got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", got)
	}
}

// More connections than there is room for wait until another has ended. Nothing is kept for them.
func TestConnectionsAreBounded(t *testing.T) {
	h := open(t, Config{Home: t.TempDir()})
	cookie := h.enter()
	http.DefaultClient.CloseIdleConnections() // that of the link
	look := h.header("GET /", cookie)
	var inside []net.Conn
	for range maxCallers {
		c := h.dial()
		say(t, c, look)
		if got := hear(t, c).StatusCode; got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
		inside = append(inside, c)
	}
	late := h.dial()
	say(t, late, look)
	if err := late.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := late.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("connection %d was answered: %v", maxCallers+1, err)
	}
	inside[0].Close()
	if err := late.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := hear(t, late).StatusCode; got != http.StatusOK {
		t.Errorf("after another had ended: status %d", got)
	}
}

// More requests at a time than there is room for are told so.
func TestRequestsAreBounded(t *testing.T) {
	begun, leave := make(chan struct{}), make(chan struct{})
	h := open(t, Config{Home: t.TempDir(), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-leave
	})})
	look := h.header("GET /", h.enter())
	for range maxRequests {
		say(t, h.dial(), look)
		<-begun
	}
	c := h.dial()
	say(t, c, look)
	answer := hear(t, c)
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "hint: ") {
		t.Errorf("status %d, %q", answer.StatusCode, text)
	}
	close(leave)
}
