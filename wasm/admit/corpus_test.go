package admit_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/shoalgrid/shoal/wasm/admit"
)

// wazeroDir is wazero's source in the module cache: its spec tests, and programs made by
// other compilers, come with it.
func wazeroDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Whatever wazero takes must be taken, or refused for what the grid does not want. So a
// mistake in how instructions are read shows. (No spec test has a _start.)
func TestScanReadsAllThatWazeroReads(t *testing.T) {
	ctx := context.Background()
	engine := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	defer engine.Close(ctx)
	unwanted := regexp.MustCompile(`^(no _start export|imports )`)
	deliberate := map[string]string{
		"v1/testdata/br_table.0.wasm":       "24615 targets of one table; at most 16384 are taken",
		"v2/testdata/br_table.0.wasm":       "24615 targets of one table; at most 16384 are taken",
		"v2/testdata/binary-leb128.81.wasm": "function 0 has an instruction written in a longer form than needed",
	}
	spec := filepath.Join(wazeroDir(t), "internal", "integration_test", "spectest")
	modules, err := filepath.Glob(filepath.Join(spec, "v[12]", "testdata", "*.wasm")) // the rest is about proposals
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, path := range modules {
		module, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := engine.CompileModule(ctx, module)
		if err != nil {
			continue // not valid for wazero either: admitting it is no harm
		}
		compiled.Close(ctx)
		name, err := filepath.Rel(spec, path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = admit.Scan(bytes.NewReader(module))
		r, ok := errors.AsType[*admit.Refused](err)
		if ok && (unwanted.MatchString(r.Reason) || r.Reason == deliberate[filepath.ToSlash(name)]) {
			refused++
		} else {
			t.Errorf("%s: %v", name, err)
		}
	}
	if refused < 2000 {
		t.Errorf("only %d modules were compared", refused)
	}
}

// Programs of other compilers than ours.
func TestScanTakesRealPrograms(t *testing.T) {
	dir := wazeroDir(t)
	for _, path := range []string{
		"imports/wasi_snapshot_preview1/testdata/zig-cc/wasi.wasm",
		"imports/wasi_snapshot_preview1/testdata/cargo-wasi/wasi.wasm",
		"imports/wasi_snapshot_preview1/testdata/tinygo/wasi.wasm",
		"imports/wasi_snapshot_preview1/example/testdata/tinygo/cat.wasm",
		"imports/wasi_snapshot_preview1/example/testdata/cargo-wasi/cat.wasm",
		"imports/wasi_snapshot_preview1/example/testdata/zig/cat.wasm",
		"imports/wasi_snapshot_preview1/example/testdata/zig-cc/cat.wasm",
	} {
		f, err := os.Open(filepath.Join(dir, path))
		if errors.Is(err, fs.ErrNotExist) {
			t.Logf("not in this wazero: %s", path)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admit.Scan(f); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		f.Close()
	}
}
