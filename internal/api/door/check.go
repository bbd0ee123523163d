package door

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	localhost = "127.0.0.1"
	linkPath  = "/open/"
)

// check is the order of the questions. Where was it sent to, and by whose page: 403. With a
// session: 401, the same for every path, so that a stranger learns nothing of them. Then the
// form of what has effects: 403 and 415.
func (d *Door) check(port int) http.Handler {
	hosts := []string{localhost + ":" + strconv.Itoa(port), "localhost:" + strconv.Itoa(port)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		if err := d.steady(w, r); err != nil {
			refuse(w, http.StatusInternalServerError, "this request cannot be timed", "shoal doctor looks for what is wrong")
			return
		}
		select {
		case d.busy <- struct{}{}:
			defer func() { <-d.busy }()
		default:
			refuse(w, http.StatusServiceUnavailable, "the node is busy", "close some of its pages")
			return
		}
		switch {
		case !slices.Contains(hosts, r.Host):
			refuse(w, http.StatusForbidden, "this page has another address", "shoal ui opens it")
			return
		case foreign(r, hosts):
			refuse(w, http.StatusForbidden, "another page has sent this", "shoal ui opens the right one")
			return
		}
		if d.enter(w, r, port) {
			return
		}
		cookie, err := r.Cookie(cookieName(port))
		if err != nil || !d.goodSession(cookie.Value, time.Now()) {
			refuse(w, http.StatusUnauthorized, "this browser has no session, or its link was used or is too old", "shoal ui opens a new one")
			return
		}
		if status := fit(r); status != 0 {
			refuse(w, status, "a page of this node must send this, as a form or as JSON", "shoal ui opens the page")
			return
		}
		defer d.use()()
		d.cfg.Handler.ServeHTTP(w, r)
	})
}

// steady has a body cut that stands still; also one that nobody will read, of a request that is
// refused. How long all of it takes is not bounded: neither a large upload, nor what is done with it
// afterwards, is to be cut.
func (d *Door) steady(w http.ResponseWriter, r *http.Request) error {
	if r.Body == http.NoBody {
		return nil
	}
	control := http.NewResponseController(w)
	r.Body = &steadyBody{ReadCloser: r.Body, control: control, stall: d.cfg.Stall}
	return control.SetReadDeadline(time.Now().Add(d.cfg.Stall))
}

type steadyBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
}

// Read waits only so long for the next bytes.
func (b *steadyBody) Read(p []byte) (int, error) {
	if err := b.control.SetReadDeadline(time.Now().Add(b.stall)); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // from now on the server waits for the client to go away, however long
		if err := b.control.SetReadDeadline(time.Time{}); err != nil {
			return n, err
		}
	}
	return n, err
}

// foreign reports whether a page of another place has sent a request. Pages of other ports of
// this machine are other places too. Following a link to the page is not sending: the browser
// shows what comes to nobody else.
func foreign(r *http.Request, hosts []string) bool {
	if origin := r.Header.Get("Origin"); origin != "" && !slices.Contains(hosts, strings.TrimPrefix(origin, "http://")) {
		return true
	}
	site := r.Header.Get("Sec-Fetch-Site")
	following := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !following && site != "" && site != "same-origin" && site != "none"
}

// fit says what is wrong with the form of a request that may have effects: its status, or 0.
func fit(r *http.Request) int {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return 0
	}
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		return http.StatusForbidden // nothing says who has sent it
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.ContentLength == 0:
		return 0
	case err != nil, kind != "application/json" && kind != "application/x-www-form-urlencoded" && kind != "multipart/form-data":
		return http.StatusUnsupportedMediaType
	}
	return 0
}

// enter answers a link that is good with a session, and reports whether it did. The answer is a
// page that goes on by itself, and no redirect: a browser that came from elsewhere would follow
// that without the cookie.
func (d *Door) enter(w http.ResponseWriter, r *http.Request, port int) bool {
	secret, ok := strings.CutPrefix(r.URL.Path, linkPath)
	if !ok || r.Method != http.MethodGet || !d.useLink(secret, time.Now()) {
		return false
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(port), Value: d.newSession(time.Now()), Path: "/",
		MaxAge: int(sessionTime / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write([]byte(entrance)) // fails only when nobody listens
	return true
}

const entrance = `<!doctype html><html lang="en"><meta charset="utf-8"><title>shoal</title>` +
	`<meta http-equiv="refresh" content="0;url=/"><p><a href="/">shoal</a></p></html>`

// cookieName keeps the sessions of two nodes apart: browsers do not do so by port.
func cookieName(port int) string { return "shoal-" + strconv.Itoa(port) }

// harden forbids the browser whatever the pages do not need.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin") // none at all would take the Origin from forms
	h.Set("Cache-Control", "no-store")
}

// refuse says no in the words of the commands.
func refuse(w http.ResponseWriter, status int, what, hint string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte("error: " + what + "\nhint:  " + hint + "\n"))
}
