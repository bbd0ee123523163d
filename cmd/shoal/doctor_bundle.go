package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
)

// bundledLog is how much of the end of each log goes into a report.
const bundledLog = 256 << 10

// placeForBundle refuses a name that no report can be written to.
func placeForBundle(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return usage("another name, or remove it", "--bundle: %s is there already", name)
	}
	if info, err := os.Stat(filepath.Dir(name)); err != nil || !info.IsDir() {
		return usage("name a file in a folder that is there", "--bundle %s: no such folder", name)
	}
	return nil
}

// writeBundle writes a report for a person who helps: findings, settings, the node's state and
// the end of the log that --log-file names. Only what is named here goes in, with the user's name taken out; the
// key, the sessions of the page, programs, inputs and answers stay where they are.
func writeBundle(name, home, log string, doc *doctorDocument, status *api.Status) error {
	parts := []struct {
		name string
		body func() ([]byte, error)
	}{
		{"doctor.json", func() ([]byte, error) { return json.MarshalIndent(doc, "", "  ") }},
		{"status.json", func() ([]byte, error) { return json.MarshalIndent(status, "", "  ") }},
		{"system.txt", func() ([]byte, error) { return []byte(systemWords()), nil }},
		{config.FileName, func() ([]byte, error) { return tail(filepath.Join(home, config.FileName), bundledLog) }},
		{"log.txt", func() ([]byte, error) {
			if log == "" {
				return nil, fs.ErrNotExist
			}
			return tail(log, bundledLog)
		}},
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	pack := tar.NewWriter(zip)
	for _, part := range parts {
		body, err := part.body()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("report: %s: %w", part.name, err)
		}
		body = anonymous(body, home)
		h := &tar.Header{Name: "shoal-report/" + part.name, Mode: 0o644, Size: int64(len(body)), ModTime: time.Now()}
		if err := errors.Join(pack.WriteHeader(h), writeAll(pack, body)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	if err := errors.Join(pack.Close(), zip.Close()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return writeNew(name, out.Bytes())
}

func writeAll(w *tar.Writer, body []byte) error {
	_, err := w.Write(body)
	return err
}

// writeNew writes a file that was not there, whole or not at all.
func writeNew(name string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".shoal-report-*")
	if err != nil {
		return usage("name a file that can be written with --bundle FILE", "report %s: %s", name, unwrapPath(err))
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(body); err != nil {
		f.Close()
		return fmt.Errorf("write the report: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.Link(f.Name(), name); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// tail is the end of a file.
func tail(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	body := make([]byte, min(info.Size(), most))
	n, err := f.ReadAt(body, info.Size()-int64(len(body)))
	if int64(n) == int64(len(body)) {
		err = nil
	}
	return body[:n], err
}

// anonymous takes the folders and the name of the user out of a text.
func anonymous(body []byte, home string) []byte {
	text := strings.ReplaceAll(string(body), home, "HOME")
	if user, err := os.UserHomeDir(); err == nil && len(user) > 1 {
		text = strings.ReplaceAll(text, user, "~")
		if name := filepath.Base(user); len(name) > 2 && name != "root" {
			text = strings.ReplaceAll(text, name, "USER")
		}
	}
	return []byte(text)
}

func systemWords() string {
	var text strings.Builder
	fmt.Fprintf(&text, "shoal %s, %s, %s/%s, %d cores\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, name := range []string{"/proc/sys/kernel/osrelease", "/etc/os-release"} {
		if body, err := tail(name, 4<<10); err == nil {
			text.Write(body)
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		text.WriteString(info.String())
	}
	return text.String()
}
