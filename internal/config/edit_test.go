package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

func fileOf(t *testing.T, home string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSetKeepsWhatIsAround(t *testing.T) {
	for name, c := range map[string]struct{ before, key, value, after string }{
		"comment above and behind": {
			"# mine\ncores = 1 # one is plenty\n\nwhen = \"idle\"\n", "cores", "2",
			"# mine\ncores = 2 # one is plenty\n\nwhen = \"idle\"\n",
		},
		"a # in the value": {"network = \"a\"\npause-for = [\"c#\"]   # dotnet\n", "pause-for", "f#, zoom", "network = \"a\"\npause-for = [\"f#\", \"zoom\"]   # dotnet\n"},
		"many lines":       {"bootstrap = [\n  \"" + friend + "\", # bob\n]\ncores = 1\n", "bootstrap", friend + "9", "bootstrap = [\"" + friend + "9\"]\ncores = 1\n"},
		"no last newline":  {"cores = 1", "when", "always", "cores = 1\nwhen = \"always\"\n"},
		"quoted key":       {"\"cores\" = 1\n", "cores", "3", "cores = 3\n"},
		"line ends of old": {"cores = 1 # x\r\nmdns = true\r\n", "cores", "2", "cores = 2 # x\nmdns = true\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			home := homeWith(t, c.before)
			if err := Set(home, c.key, c.value); err != nil {
				t.Fatal(err)
			}
			if got := fileOf(t, home); got != c.after {
				t.Errorf("wrote\n%q, want\n%q", got, c.after)
			}
		})
	}
}

func TestSetMakesAFileAndUnsetTakesOut(t *testing.T) {
	home := filepath.Join(t.TempDir(), "new")
	if err := Set(home, "idle-after", "90 s"); err != nil {
		t.Fatal(err)
	}
	if err := Set(home, "hours", "Mon-Fri 19:00-08:00"); err != nil {
		t.Fatal(err)
	}
	if err := Unset(home, "idle-after"); err != nil {
		t.Fatal(err)
	}
	if got, want := fileOf(t, home), firstLines+"hours = \"Mon-Fri 19:00-08:00\"\n"; got != want {
		t.Errorf("wrote %q", got)
	}
	if left, err := filepath.Glob(filepath.Join(home, "*.*.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSetRefusesAndLeavesTheFileAlone(t *testing.T) {
	for name, c := range map[string]struct{ before, key, value, problem string }{
		"unknown":       {"cores = 1\n", "coers", "2", `there is no setting "coers"`},
		"impossible":    {"cores = 1\n", "cores", "-2", "cores: -2 is not between 0 and 4096"},
		"broken before": {"cores = ?\n", "cores", "2", "not TOML"},
		"newer":         {"format = 9\n", "cores", "2", "written for a newer shoal"},
	} {
		t.Run(name, func(t *testing.T) {
			home := homeWith(t, c.before)
			err := Set(home, c.key, c.value)
			if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Hint() == "" {
				t.Fatalf("got %v", err)
			}
			if got := fileOf(t, home); got != c.before {
				t.Errorf("the file is %q", got)
			}
		})
	}
}

func TestALinkStaysOne(t *testing.T) {
	home, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "shoal.toml")
	if err := os.WriteFile(elsewhere, []byte("cores = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(home, FileName)); err != nil {
		t.Skip("no links here: ", err)
	}
	if err := Set(home, "cores", "2"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(elsewhere); err != nil || string(text) != "cores = 2\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// Every setting can be written as it is shown, and is then what it was.
func TestWhatIsShownCanBeSet(t *testing.T) {
	home := homeWith(t, "# nothing\n")
	given := map[string]string{
		"bootstrap": friend + "," + friend + "2", "hours": "sat-sun", "pause-for": `say "hi"`, "disk-free": "20 GiB",
		"memory": "1000000001", "transfer-rate": "1 MiB", "others-cpu": "33.3", "idle-after": "1h0m30s",
	}
	flags, err := Load(home, environment(nil), given)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Settings() {
		shown, err := flags.Get(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := Set(home, s.Name, shown); err != nil && shown != "" {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	loaded, err := Load(home, environment(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Settings() {
		a, _ := flags.Get(s.Name)
		if b, _ := loaded.Get(s.Name); a != b {
			t.Errorf("%s: %q was written and read as %q", s.Name, a, b)
		}
	}
}

// No text of a person's, set into no file of a person's, breaks the file.
func TestSetNeverBreaksAFile(t *testing.T) {
	files := []string{"", "# x", "cores = 1 # y\n", "pause-for = [\n'a', # b\n'''c#\n'''\n]\n\n# end", "hours = \"\"\"sat-\\\n  sun\"\"\" # w\n", "\n\ncores=1"}
	home := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		if err := os.WriteFile(filepath.Join(home, FileName), []byte(rapid.SampledFrom(files).Draw(t, "file")), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			key := rapid.SampledFrom([]string{"cores", "pause-for", "hours", "when"}).Draw(t, "key")
			value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"3", "sat", "always", "a,b"})).Draw(t, "value")
			wrong := Set(home, key, value)
			c, err := Load(home, environment(nil), nil)
			if err != nil {
				t.Fatalf("%s = %q: %v", key, value, err)
			}
			if wrong != nil {
				continue
			}
			want, err := Load(t.Name(), environment(nil), map[string]string{key: value})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := want.Get(key)
			if b, _ := c.Get(key); a != b {
				t.Fatalf("%s = %q is read as %q", key, a, b)
			}
		}
	})
}
