package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/jobs"
)

const childHome = "SHOAL_IDENTITY_TEST_CHILD"

// TestMain is also the process that TestManyProcessesAtOnceEndWithOneKey starts.
func TestMain(m *testing.M) {
	if home := os.Getenv(childHome); home != "" {
		id, err := Open(home)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(id.ID())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, home string) *Identity {
	t.Helper()
	id, err := Open(home)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestKeyIsMadeOnceAndStays(t *testing.T) {
	home := filepath.Join(t.TempDir(), "a", "home")
	first := open(t, home)
	again := open(t, home)
	if first.ID() != again.ID() || !first.Key().Equal(again.Key()) {
		t.Errorf("first %s, then %s", first.ID(), again.ID())
	}
	if other := open(t, t.TempDir()); other.ID() == first.ID() {
		t.Error("two homes have one key")
	}
	names, err := os.ReadDir(home)
	if err != nil || len(names) != 1 {
		t.Errorf("home holds %v, %v", names, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]fs.FileMode{home: 0o700, filepath.Join(home, "key"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestManyProcessesAtOnceEndWithOneKey(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	outs := make([]bytes.Buffer, 8)
	var cmds []*exec.Cmd
	for i := range outs {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childHome+"="+home)
		cmd.Stdout, cmd.Stderr = &outs[i], &outs[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i, err, &outs[i])
		}
		if outs[i].String() != outs[0].String() {
			t.Errorf("process %d has %s process 0 has %s", i, &outs[i], &outs[0])
		}
	}
	if want := open(t, home).ID().String() + "\n"; outs[0].String() != want {
		t.Errorf("processes have %s, the home %s", &outs[0], want)
	}
}

func TestSignAndSecret(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	id := New(key)
	sig := id.Sign([]byte("message"))
	pub := id.ID()
	if !ed25519.Verify(pub[:], []byte("message"), sig) || ed25519.Verify(pub[:], []byte("massage"), sig) {
		t.Error("the signature does not verify under the id, or verifies anything")
	}
	b := func(s string) []byte { return []byte(s) }
	// Nonces of seals that were sent must come out the same from any release.
	const golden = "2daf59000b6d69186595d54a911c9419d4177f5f22d681983dbadf0e6f7d7874"
	if got := fmt.Sprintf("%x", id.Secret("nonce", b("job"), b("unit"))); got != golden {
		t.Errorf("secret %s, want %s", got, golden)
	}
	seen := map[[32]byte]string{}
	for name, secret := range map[string][32]byte{
		"plain":       id.Secret("nonce", b("job"), b("unit")),
		"label":       id.Secret("other", b("job"), b("unit")),
		"cut":         id.Secret("nonce", b("jobu"), b("nit")),
		"one":         id.Secret("nonce", b("jobunit")),
		"in label":    id.Secret("noncejob", b("unit")),
		"none":        id.Secret("nonce"),
		"empty":       id.Secret("nonce", nil),
		"another key": New(ed25519.NewKeyFromSeed(make([]byte, 32))).Secret("nonce", b("job"), b("unit")),
	} {
		if was := seen[secret]; was != "" {
			t.Errorf("%s and %s give the same secret", name, was)
		}
		seen[secret] = name
	}
}

func TestKeyIsRefused(t *testing.T) {
	rsaLike := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x")})
	for name, c := range map[string]struct {
		hurt func(text []byte) []byte
		want error
	}{
		"empty":          {func([]byte) []byte { return nil }, ErrCorrupt},
		"cut short":      {func(b []byte) []byte { return b[:len(b)-9] }, ErrCorrupt},
		"last byte gone": {func(b []byte) []byte { return b[:len(b)-1] }, ErrCorrupt},
		"another id":     {func(b []byte) []byte { return append([]byte(headline+jobs.NodeID{1}.String()+"\n"), after(b)...) }, ErrCorrupt},
		"no id":          {after, ErrCorrupt},
		"another type":   {func([]byte) []byte { return rsaLike }, ErrCorrupt},
		"binary":         {func([]byte) []byte { return make([]byte, 10_000) }, ErrCorrupt},
		"twice":          {func(b []byte) []byte { return append(b, b...) }, ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			open(t, home)
			file := filepath.Join(home, "key")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			hurt := c.hurt(text)
			if err := os.WriteFile(file, hurt, 0o600); err != nil {
				t.Fatal(err)
			}
			requireRefused(t, home, c.want)
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, hurt) {
				t.Error("the refused key was changed")
			}
		})
	}
}

func after(text []byte) []byte { return text[bytes.IndexByte(text, '\n')+1:] }

func requireRefused(t *testing.T, home string, want error) {
	t.Helper()
	_, err := Open(home)
	refused, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	file := filepath.Join(home, "key")
	if refused.File != file || !strings.Contains(err.Error(), file) || refused.Hint() == "" {
		t.Errorf("error %q, hint %q", err, refused.Hint())
	}
}

func TestKeyOpenToOthersIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
	}
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604, 0o620, 0o601} {
		home := t.TempDir()
		open(t, home)
		if err := os.Chmod(filepath.Join(home, "key"), mode); err != nil {
			t.Fatal(err)
		}
		requireRefused(t, home, ErrOpenToOthers)
	}
}

func TestUsedHomeWithoutItsKeyIsRefused(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "state.db"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	requireRefused(t, home, ErrLost)
	if _, err := os.Stat(filepath.Join(home, "key")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a key was made")
	}
}

func TestHomeThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{file, filepath.Join(file, "under")} {
		_, err := Open(home)
		if refused, ok := errors.AsType[*Error](err); !ok || refused.Hint() == "" {
			t.Errorf("%s: %v", home, err)
		}
	}
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "key"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(home); err == nil {
		t.Error("a directory is a key")
	}
}

func FuzzParse(f *testing.F) {
	good, err := format(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(der)
	f.Add(after(good))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := parse(text)
		if err != nil {
			return
		}
		if again, err := format(key); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q is accepted, and written as %q", text, again)
		}
	})
}
