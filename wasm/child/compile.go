package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tetratelabs/wazero"

	"github.com/shoalgrid/shoal/wasm/admit"
	"github.com/shoalgrid/shoal/wasm/jail"
	"github.com/shoalgrid/shoal/wasm/link"
)

// compileMain is a compile child: request in, files written, reply out.
func compileMain(in io.Reader, out io.Writer) error {
	var req link.CompileRequest
	if err := json.NewDecoder(in).Decode(&req); err != nil {
		return fmt.Errorf("read what to compile: %w", err)
	}
	var reply link.CompileReply
	var refused *admit.Refused
	switch err := compileFile(req); {
	case errors.As(err, &refused):
		reply.Refused = refused.Reason
	case err != nil:
		reply.Error = err.Error()
	}
	return json.NewEncoder(out).Encode(reply)
}

func compileFile(req link.CompileRequest) error {
	plan := compilePlan(req)
	jail.Limit(plan) // what does not hold, the run child will tell
	binary, err := os.ReadFile(req.Program)
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	jail.Shut(plan)
	if binary, err = prepared(binary, req); err != nil {
		return err
	}
	cache, err := wazero.NewCompilationCacheWithDir(req.Dir)
	if err != nil {
		return fmt.Errorf("open the cache: %w", err)
	}
	ctx := context.Background()
	engine := wazero.NewRuntimeWithConfig(ctx, engineConfig(cache, false))
	_, err = engine.CompileModule(ctx, binary)
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("write the compiled program: %w", err)
	}
	if err != nil {
		return &admit.Refused{Reason: "not valid WebAssembly: " + err.Error()}
	}
	return nil
}
