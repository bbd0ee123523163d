package child

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero/api"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/wasm/admit"
	"github.com/shoalgrid/shoal/wasm/link"
	"github.com/shoalgrid/shoal/wasm/prepare"
)

// prepared makes of a program what its profile runs, and keeps that in the folder.
func prepared(original []byte, req link.CompileRequest) (module []byte, err error) {
	switch options := (prepare.Options{LowerRemainders: runtime.GOARCH == "arm64"}); req.Profile {
	case link.ProfilePlain:
		module, err = prepare.WithoutNames(original)
	case link.ProfileMetered:
		module, err = prepare.Module(original, options)
	case link.ProfileEager:
		options.NaN = prepare.Eager
		module, err = prepare.Module(original, options)
	default:
		return nil, fmt.Errorf("prepare the program: there is no profile %d", req.Profile)
	}
	if refused, ok := errors.AsType[*prepare.Refused](err); ok {
		return nil, &admit.Refused{Reason: "cannot be prepared: " + refused.Error()}
	} else if err != nil {
		return nil, fmt.Errorf("prepare the program: %w", err)
	}
	if err := os.WriteFile(filepath.Join(req.Dir, link.PreparedName), module, 0o600); err != nil {
		return nil, fmt.Errorf("write the prepared program: %w", err)
	}
	return module, nil
}

// metered runs an instance of a prepared module on its allowance of fuel and stack.
func (r *runner) metered(instance api.Module) ending {
	fuel := instance.ExportedGlobal(prepare.FuelGlobal).(api.MutableGlobal)
	stack := instance.ExportedGlobal(prepare.StackGlobal)
	fuel.Set(r.fuel - r.spent)
	r.used = func() uint64 { return prepare.FuelUsed(r.fuel, fuel.Get()) }
	var err error
	for _, name := range []string{prepare.StartFunction, "_start"} {
		if f := instance.ExportedFunction(name); f != nil && err == nil {
			_, err = f.Call(r.ctx)
		}
	}
	end := endingOf(err)
	if end.outcome == jobs.GaveUp {
		return end
	}
	switch prepare.Exhausted(fuel.Get(), stack.Get()) {
	case prepare.OutOfFuel:
		end = ending{outcome: jobs.FuelLimit, reason: fmt.Sprintf("more than %d instructions", r.fuel)}
	case prepare.OutOfStack:
		end = ending{outcome: jobs.StackLimit, reason: "recursion too deep"}
	case prepare.Nothing:
	}
	end.fuel = prepare.FuelUsed(r.fuel, fuel.Get())
	return end
}
