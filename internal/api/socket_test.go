package api

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func deepHome(t *testing.T) string {
	home := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40))
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return home
}

func TestSocketIsPrivateAndGoes(t *testing.T) {
	for name, home := range map[string]string{"short": t.TempDir(), "long": deepHome(t)} {
		t.Run(name, func(t *testing.T) {
			killed, err := Listen(home) // never closed: its node was killed
			if err != nil {
				t.Fatal(err)
			}
			l, err := Listen(home)
			if err != nil {
				t.Fatal(err)
			}
			path := l.Addr().String()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("the socket has mode %v", info.Mode())
			}
			if folder, _ := os.Stat(filepath.Dir(path)); name == "long" && folder.Mode().Perm() != 0o700 {
				t.Errorf("its folder has mode %v", folder.Mode())
			}
			go l.Accept()
			conn, err := dial(t.Context(), home)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			left, err := os.ReadDir(home)
			if err != nil || len(left) > 0 {
				t.Errorf("left in the home: %v, %v", left, err)
			}
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("the socket is still there: %v", err)
			}
			if old := killed.Addr().String(); old != path {
				if _, err := os.Stat(filepath.Dir(old)); !os.IsNotExist(err) {
					t.Errorf("the killed node's folder is still there: %v", err)
				}
			}
		})
	}
}
