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

	"github.com/shoalgrid/shoal/worker/wishes"
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
		cmp.Comparer(func(a, b wishes.Hours) bool { return a.String() == b.String() }),
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	home := homeWith(t, `
		network = "file"
		listen = 5001
		disk = "1 GiB"
		cores = 1
		mdns = false
		bootstrap = ["`+friend+`", "`+friend+`2"]
	`)
	env := environment(map[string]string{
		"SHOAL_LISTEN": "127.0.0.1:5002", "SHOAL_DISK": "2 GiB", "SHOAL_CORES": "", "SHOAL_FAULT": "lie",
	})
	got, err := Load(home, env, map[string]string{"disk": "3GiB", "memory": "512 MB"})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Network:   "file",
		Listen:    netip.MustParseAddrPort("127.0.0.1:5002"),
		Bootstrap: []string{friend, friend + "2"},
		Disk:      3 << 30,
		Wishes:    wishes.Default(),

		KeepWhilePaused: true,
	}
	want.Wishes.Cores, want.Wishes.Memory = 1, 512_000_000
	if diff := cmp.Diff(want, got, equal()...); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{
		"network": filepath.Join(home, FileName) + ":2", "listen": "SHOAL_LISTEN", "disk": "--disk", "cores": filepath.Join(home, FileName) + ":5",
		"memory": "--memory", "hours": "default",
	} {
		if o := got.Source(name); o != want {
			t.Errorf("%s comes from %s, want %s", name, o, want)
		}
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
		"unknown key":     {"cores = 1\ndsik = \"1 GiB\"", ":2", `no setting "dsik"`, `did you mean "disk"?`},
		"case":            {"Cores = 1", ":1", `no setting "Cores"`, `did you mean "cores"?`},
		"far from any":    {"pi = 3.14", ":1", `no setting "pi"`, "the settings are network, listen, bootstrap, mdns, name, when, idle-after, hours, cores, "},
		"unknown table":   {"\n\n[donate]\nidle = true", ":3", `no setting "donate"`, "the settings are"},
		"not TOML":        {"cores = 1\ndisk: 1 GiB", ":2", "not TOML", "a line looks like"},
		"twice":           {"cores = 1\ncores = 2", ":2", "not TOML", ""},
		"not a size":      {"disk = \"ten\"", ":1", `"ten" is not a size`, `disk takes a size of at least 1 MiB, such as "10 GiB"`},
		"no disk":         {"disk = 0", ":1", "0 B is too little", ""},
		"decimal comma":   {"disk = \"1,5 GiB\"", ":1", "is not a size", ""},
		"negative size":   {"disk = -5", ":1", `"-5" is not a size`, ""},
		"bool for a size": {"disk = true", ":1", `"true" is not a size`, ""},
		"float for cores": {"cores = 2.5", ":1", `"2.5" is not a number`, ""},
		"list for cores":  {"cores = [1, 2]", ":1", `"1,2" is not a number`, ""},
		"table for cores": {"[cores]\nx = 1", ":1", "is not a number", ""},
		"idle too soon":   {"idle-after = \"0s\"", ":1", "0s is not between 1 s and 24 h", "such as \"3m\""},
		"bare minutes":    {"idle-after = 3", ":1", `"3" is not a time`, ""},
		"no such when":    {"when = \"sometimes\"", ":1", `"sometimes" is none of idle, always and never`, ""},
		"bad hours":       {"hours = \"mon-fry\"", ":1", "the days are mon, tue", "mon-fri 19:00-08:00"},
		"bad share":       {"others-cpu = 250", ":1", "250 is not between 1 and 100", "from 1 to 100"},
		"no share at all": {"others-cpu = nan", ":1", `"NaN" is not a number`, ""},
		"whole disk free": {"disk-free = \"100%\"", ":1", "100% is not between 0% and 99%", ""},
		"frozen":          {"temperature = 20", ":1", "20 is not between 40 and 120", ""},
		"a path":          {"pause-for = [\"/usr/bin/zoom\"]", ":1", "is a path, not the name", ""},
		"modem":           {"transfer-rate = 300", ":1", "300 B is too little", "at least 1 KiB"},
		"newer":           {"format = 2\nsleepy = true", ":1", "written for a newer shoal: format 2, this one reads 1", "update shoal"},
		"too many cores":  {"cores = 5000", ":1", "5000 is not between 0 and 4096", ""},
		"little memory":   {"memory = \"1 MiB\"", ":1", "1 MiB is too little", "at least 64 MiB"},
		"yes for a bool":  {"mdns = \"yes\"", ":1", `"yes" is neither true nor false`, ""},
		"bad port":        {"listen = 70000", ":1", `"70000" is not a port`, ""},
		"bad network":     {"network = \"My Grid\"", ":1", "is not a name of a network", "small letters"},
		"long network":    {"network = \"" + strings.Repeat("a", 33) + "\"", ":1", "is not a name", ""},
		"name of two":     {"name = \"a,b\"", ":1", `"a,b" could be taken for a list`, "up to 40 bytes"},
		"name that moves": {"name = \"\\u001b[2J\"", ":1", "has a control character", ""},
		"follow a name":   {"follow = [\"ada\"]", ":1", `"ada" is not a peer ID`, "12D3Koo"},
		"heavy":           {"follow = [\"12D3KooWGUcp2EsvMkLKdaCc6RL59627TufZodK91HdtotPSaMUW*1001\"]", ":1", `weight "1001"`, "weight"},
		"block a name":    {"block = [\"ada\"]", ":1", "neither a peer ID nor the digest", ""},
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
	c.Wishes.Cores = -1
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
	f.Add("cores = 1979-05-27\ndisk = inf")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		c.sources = map[string]string{}
		if err := c.readText("config.toml", []byte(text)); err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("accepted, but %v", err)
		}
	})
}
