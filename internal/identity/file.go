package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/shoalgrid/shoal/jobs"
)

const (
	pemType  = "PRIVATE KEY"
	headline = "shoal node "
	maxFile  = 4096
)

// Error is a key that cannot be used, with what to do about it.
type Error struct {
	File string
	Err  error
	hint string
}

// Error names the file and what is wrong with it.
func (e *Error) Error() string { return fmt.Sprintf("key %s: %v", e.File, e.Err) }

// Unwrap is what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Hint is one thing to try.
func (e *Error) Hint() string { return e.hint }

// What can be wrong with a key file.
var (
	ErrOpenToOthers = errors.New("others can read or write it")
	ErrCorrupt      = errors.New("it is damaged")
	ErrLost         = errors.New("it is missing, but the home has been used with one")
)

// Open reads the key of the home, or makes home and key if there are none yet. Of several
// processes that do so at once all end with the same key. Call it before the store is
// opened: a home with a database but without a key is refused.
func Open(home string) (*Identity, error) {
	file := filepath.Join(home, "key")
	key, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(home, file); err != nil {
			return nil, err
		}
		key, err = read(file) // maybe another process's, which was first
	}
	if err != nil {
		return nil, err
	}
	return New(key), nil
}

func read(file string) (ed25519.PrivateKey, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &Error{file, err, "check that it is a file of yours"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &Error{file, err, "check the disk"}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, &Error{
			file, fmt.Errorf("%w (mode %04o)", ErrOpenToOthers, info.Mode().Perm()),
			"if nobody has copied it: chmod 600 " + file,
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, &Error{file, err, "check that it is a file of yours"}
	}
	key, err := parse(text)
	if err != nil {
		return nil, &Error{
			file, fmt.Errorf("%w: %w", ErrCorrupt, err),
			"put a copy of it back, or move it away to go on as a new node",
		}
	}
	return key, nil
}

// parse reads the text of a key file. Only what format wrote is accepted.
func parse(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, errors.New("no whole private key in it")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key does not parse")
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	if again, err := format(key); err != nil || !bytes.Equal(again, text) {
		return nil, errors.New("the key is not the one of the node named above it")
	}
	return key, nil
}

func format(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	id := jobs.NodeID(key.Public().(ed25519.PublicKey))
	text := []byte(headline + id.String() + "\n")
	return append(text, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})...), nil
}

// create makes a key under its name in one step, unless there is one by then.
func create(home, file string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return &Error{file, err, "choose a home that can be written, with --home DIR"}
	}
	if _, err := os.Lstat(filepath.Join(home, "state.db")); err == nil {
		if _, err := os.Lstat(file); err == nil {
			return nil // another process made both just now, the key first
		}
		return &Error{file, ErrLost, "put a copy of the key back, or choose another home with --home DIR"}
	}
	if err := write(home, file); err != nil {
		return &Error{file, fmt.Errorf("make it: %w", err), "choose a home that can be written, with --home DIR"}
	}
	return nil
}

func write(home, file string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	text, err := format(key)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(home, "key.new-*") // 0600 from the start
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := publish(tmp.Name(), file); err != nil {
		return err
	}
	return syncDir(home)
}

// publish gives the new key its name, unless another process's key has it.
func publish(tmp, file string) error {
	err := os.Link(tmp, file) // unlike a rename it never replaces
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	// A file system without links: the best there is.
	if _, err := os.Lstat(file); err == nil {
		return nil
	}
	return os.Rename(tmp, file)
}

// syncDir makes the names in a directory durable, where the system has that.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
