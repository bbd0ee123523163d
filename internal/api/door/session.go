package door

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/shoalgrid/shoal/internal/whole"
)

// keyFile is the file of a home that is there while its door is open, also over a restart.
const keyFile = "ui.json"

// maxKeyFile bounds what is read of it.
const maxKeyFile = 4 << 10

// keys is what outlives the process.
type keys struct {
	Port int       `json:"port"`
	Key  []byte    `json:"key"`  // that sessions are signed with
	Used time.Time `json:"used"` // at about this time
}

// unlock makes the key of sessions, unless there is one, and begins to count idle time.
func (d *Door) unlock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = time.Now()
	if len(d.keys.Key) > 0 {
		return nil
	}
	d.keys.Key = make([]byte, sha256.Size)
	_, err := rand.Read(d.keys.Key)
	return err
}

// recall takes up the door of a process that has ended. A file that others can read is no
// secret, and one that is old was left by a door that would have closed: both are forgotten.
func (d *Door) recall() (keys, bool) {
	k, err := readKeys(filepath.Join(d.cfg.Home, keyFile))
	if err != nil || len(k.Key) != sha256.Size || k.Port <= 0 || time.Since(k.Used) > d.cfg.Idle {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			d.cfg.Logger.Warn("sessions of the page are forgotten", "error", err)
		}
		d.forget()
		return keys{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = k
	return k, true
}

func readKeys(path string) (k keys, err error) {
	f, err := os.Open(path)
	if err != nil {
		return k, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return k, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return k, fmt.Errorf("%s can be read by others", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(text, &k)
}

// note writes down that the door is in use, whole or not at all.
func (d *Door) note(port int) {
	d.mu.Lock()
	d.keys.Port, d.keys.Used = port, d.last
	text, err := json.Marshal(d.keys)
	d.mu.Unlock()
	if err == nil {
		err = whole.Write(filepath.Join(d.cfg.Home, keyFile), text, 0o600)
	}
	if err != nil {
		d.cfg.Logger.Warn("an open page will not outlive this node", "error", err)
	}
}

// forget ends every session.
func (d *Door) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = keys{}
	clear(d.links)
	os.Remove(filepath.Join(d.cfg.Home, keyFile))
}

// newLink is the secret part of a link. Of too many links the one that ends first is dropped.
func (d *Door) newLink(now time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.links) >= maxLinks {
		var first [32]byte
		for h, until := range d.links {
			if old, ok := d.links[first]; !ok || until.Before(old) {
				first = h
			}
		}
		delete(d.links, first)
	}
	secret := rand.Text()
	d.links[sha256.Sum256([]byte(secret))] = now.Add(d.cfg.LinkFor)
	return secret
}

// useLink reports whether the secret is of a link that is good, which it then is no more. It is
// looked up by its hash: how long that takes says nothing about other secrets.
func (d *Door) useLink(secret string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := sha256.Sum256([]byte(secret))
	until, ok := d.links[h]
	delete(d.links, h)
	return ok && now.Before(until)
}

// A session is its end and some random bytes, signed with the door's key: nothing is kept here
// for it.
const (
	sessionEnd  = 8
	sessionBody = sessionEnd + 16
	sessionLen  = sessionBody + sha256.Size
)

func (d *Door) newSession(now time.Time) string {
	b := make([]byte, sessionBody)
	binary.BigEndian.PutUint64(b, uint64(now.Add(sessionTime).Unix()))
	_, _ = rand.Read(b[sessionEnd:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, d.sign(b)...))
}

func (d *Door) goodSession(text string, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != sessionLen {
		return false
	}
	end := binary.BigEndian.Uint64(b)
	return hmac.Equal(b[sessionBody:], d.sign(b[:sessionBody])) && now.Unix() < int64(end)
}

func (d *Door) sign(b []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	mac := hmac.New(sha256.New, d.keys.Key)
	mac.Write([]byte("shoal/session/1"))
	mac.Write(b)
	return mac.Sum(nil)
}
