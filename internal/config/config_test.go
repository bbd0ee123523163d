package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const friend = "/ip4/192.168.1.20/tcp/4901/p2p/12D3KooWExample"

// homeWith makes a home with a configuration file.
func homeWith(t *testing.T, text string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	loaded, err := Load(t.TempDir(), environment(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, loaded, equal()...); diff != "" {
		t.Error(diff)
	}
}

func equal() []cmp.Option {
	return []cmp.Option{
		cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	home := homeWith(t, `
		network = "file"
		listen = 5001
		quota = "1 GiB"
		cores = 1
		mdns = false
		bootstrap = ["`+friend+`", "`+friend+`2"]
	`)
	env := environment(map[string]string{
		"SHOAL_LISTEN": "127.0.0.1:5002", "SHOAL_QUOTA": "2 GiB", "SHOAL_CORES": "", "SHOAL_FAULT": "lie",
	})
	got, err := Load(home, env, map[string]string{"quota": "3GiB", "memory": "512 MB"})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Network:   "file",
		Listen:    netip.MustParseAddrPort("127.0.0.1:5002"),
		Bootstrap: []string{friend, friend + "2"},
		Quota:     3 << 30,
		Cores:     1,
		Memory:    512_000_000,
	}
	if diff := cmp.Diff(want, got, equal()...); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]Origin{
		"network": FromFile, "listen": FromEnvironment, "quota": FromFlag, "cores": FromFile, "memory": FromFlag,
	} {
		if o := got.Origin(name); o != want {
			t.Errorf("%s comes from %d, want %d", name, o, want)
		}
	}
	if o := (&Config{}).Origin("quota"); o != FromDefault {
		t.Errorf("untouched: %d", o)
	}
}

func TestListen(t *testing.T) {
	for text, want := range map[string]netip.AddrPort{
		"4901":        netip.AddrPortFrom(netip.Addr{}, 4901),
		":4901":       netip.AddrPortFrom(netip.Addr{}, 4901),
		"0":           {},
		"127.0.0.1:0": netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 0),
		"[::1]:4901":  netip.AddrPortFrom(netip.IPv6Loopback(), 4901),
	} {
		if at, err := ParseListen(text); err != nil || at != want {
			t.Errorf("%s: %s, %v", text, at, err)
		}
	}
	for _, text := range []string{"", "-1", "65536", "localhost:1", "1.2.3.4", "::1:4901", "/ip4/1.2.3.4/tcp/1"} {
		if at, err := ParseListen(text); err == nil {
			t.Errorf("%q is %s", text, at)
		}
	}
}

func TestWrongFilesAreToldWithLineAndRemedy(t *testing.T) {
	for name, c := range map[string]struct{ text, where, problem, hint string }{
		"unknown key":     {"cores = 1\nqouta = \"1 GiB\"", ":2", `no setting "qouta"`, `did you mean "quota"?`},
		"case":            {"Cores = 1", ":1", `no setting "Cores"`, `did you mean "cores"?`},
		"far from any":    {"pi = 3.14", ":1", `no setting "pi"`, "the settings are network, listen, bootstrap, mdns, quota, cores, memory"},
		"unknown table":   {"\n\n[donate]\nidle = true", ":3", `no setting "donate"`, "the settings are"},
		"not TOML":        {"cores = 1\nquota: 1 GiB", ":2", "not TOML", "a line looks like"},
		"twice":           {"cores = 1\ncores = 2", ":2", "not TOML", ""},
		"not a size":      {"quota = \"ten\"", ":1", `"ten" is not a size`, `quota takes a size of at least 1 MiB, such as "10 GiB"`},
		"no quota":        {"quota = 0", ":1", "0 B is too little", ""},
		"decimal comma":   {"quota = \"1,5 GiB\"", ":1", "is not a size", ""},
		"negative size":   {"quota = -5", ":1", `"-5" is not a size`, ""},
		"bool for a size": {"quota = true", ":1", `"true" is not a size`, ""},
		"float for cores": {"cores = 2.5", ":1", `"2.5" is not a number`, ""},
		"list for cores":  {"cores = [1, 2]", ":1", `"1,2" is not a number`, ""},
		"table for cores": {"[cores]\nx = 1", ":1", "is not a number", ""},
		"too many cores":  {"cores = 5000", ":1", "5000 is not between 0 and 4096", ""},
		"little memory":   {"memory = \"1 MiB\"", ":1", "1.0 MiB is too little", "at least 64 MiB"},
		"yes for a bool":  {"mdns = \"yes\"", ":1", `"yes" is neither true nor false`, ""},
		"bad port":        {"listen = 70000", ":1", `"70000" is not a port`, ""},
		"bad network":     {"network = \"My Grid\"", ":1", "is not a name of a network", "small letters"},
		"long network":    {"network = \"" + strings.Repeat("a", 33) + "\"", ":1", "is not a name", ""},
		"bad bootstrap":   {"bootstrap = [\"192.168.1.20\"]", ":1", `"192.168.1.20" is not a multiaddr`, `"shoal id"`},
	} {
		t.Run(name, func(t *testing.T) {
			home := homeWith(t, c.text)
			_, err := Load(home, environment(nil), nil)
			wrong, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if want := filepath.Join(home, FileName) + c.where; wrong.Source != want {
				t.Errorf("source %s, want %s", wrong.Source, want)
			}
			if !strings.Contains(wrong.Error(), c.problem) || !strings.Contains(wrong.Hint(), c.hint) {
				t.Errorf("error %q\nhint %q", wrong, wrong.Hint())
			}
			for _, word := range []string{"int64", "uint", "struct", "interface", "[]", "config."} {
				if strings.Contains(wrong.Problem, word) {
					t.Errorf("the user reads Go: %q", wrong.Problem)
				}
			}
		})
	}
}

func TestWrongFlagAndVariableAreNamed(t *testing.T) {
	_, err := Load(t.TempDir(), environment(map[string]string{"SHOAL_MDNS": "maybe"}), nil)
	if err == nil || err.Error() != `SHOAL_MDNS: "maybe" is neither true nor false` {
		t.Errorf("got %v", err)
	}
	_, err = Load(t.TempDir(), environment(nil), map[string]string{"cores": "many"})
	if err == nil || err.Error() != `--cores: "many" is not a number` {
		t.Errorf("got %v", err)
	}
	c := Default()
	c.Cores = -1
	if err := c.Validate(); err == nil || err.Error() != "cores: -1 is not between 0 and 4096" {
		t.Errorf("got %v", err)
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, home := range map[string]string{"folder": home, "huge": homeWith(t, strings.Repeat("#\n", maxFile))} {
		_, err := Load(home, environment(nil), nil)
		if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Hint() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHome(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	abs := filepath.Join(cwd, "x")
	for name, c := range map[string]struct{ flag, env, want string }{
		"flag":        {"x", abs + "other", abs},
		"environment": {"", abs, abs},
	} {
		got, err := Home(c.flag, environment(map[string]string{"SHOAL_HOME": c.env}))
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
	got, err := Home("", environment(nil))
	if runtime.GOOS != "windows" && os.Getenv("HOME") != "" && (err != nil || filepath.Base(got) != "shoal" || !filepath.IsAbs(got)) {
		t.Errorf("default: %s, %v", got, err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1024": 1024, " 1 KiB ": 1024, "1kb": 1000, "1.5 GiB": 3 << 29, "64MiB": 64 << 20} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "1 bean", "99999999 EiB", "1e9"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	if got := Size(10 << 30).String(); got != "10 GiB" {
		t.Errorf("10 GiB is written %q", got)
	}
}

// No text, whatever it is, may crash the reader or give a configuration that is not valid.
func FuzzFile(f *testing.F) {
	f.Add(`network = "main"`)
	f.Add("[a]\nb = [1, {c = 2}]\n")
	f.Add("cores = 1979-05-27\nquota = inf")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		c.origins = map[string]Origin{}
		if err := c.readText("config.toml", []byte(text)); err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("accepted, but %v", err)
		}
	})
}
