package prepare

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// engine is one of the ways in which wazero can run a module here.
type engine struct {
	name   string
	config func() wazero.RuntimeConfig
}

var (
	compiler    = engine{"compiler", wazero.NewRuntimeConfigCompiler}
	interpreter = engine{"interpreter", wazero.NewRuntimeConfigInterpreter}
)

func (e engine) runtime(ctx context.Context) wazero.Runtime {
	return wazero.NewRuntimeWithConfig(ctx, e.config().WithCoreFeatures(api.CoreFeaturesV2))
}

// budget is more fuel than any test uses that is not about running out of it.
const budget = 1 << 50

// arm gives a prepared instance fuel and its whole stack.
func arm(m api.Module, fuel uint64) {
	m.ExportedGlobal(FuelGlobal).(api.MutableGlobal).Set(fuel)
	m.ExportedGlobal(StackGlobal).(api.MutableGlobal).Set(Stack)
}

func fuelLeft(m api.Module) uint64  { return m.ExportedGlobal(FuelGlobal).Get() }
func stackLeft(m api.Module) uint64 { return m.ExportedGlobal(StackGlobal).Get() }

// trapKind names how a call ended, in one word for all engines. A prepared module's own traps have their own words.
func trapKind(m api.Module, err error) string {
	if err == nil {
		return "returned"
	}
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
		return exit.Error()
	}
	if m != nil && m.ExportedGlobal(FuelGlobal) != nil {
		switch Exhausted(fuelLeft(m), stackLeft(m)) {
		case OutOfFuel:
			return "out of fuel"
		case OutOfStack:
			return "stack overflow"
		}
	}
	kind, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(kind, "wasm error: ")
}

// wazeroDir is where the module cache keeps wazero's source.
func wazeroDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("where is wazero's source: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
