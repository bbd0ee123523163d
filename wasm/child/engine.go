package child

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/cpu"

	"github.com/shoalgrid/shoal/wasm/prepare"
)

// features are those of WebAssembly 2.0, written out so that a new wazero adds none: every
// node must take and refuse the same programs.
const features = api.CoreFeatureBulkMemoryOperations |
	api.CoreFeatureMultiValue |
	api.CoreFeatureMutableGlobal |
	api.CoreFeatureNonTrappingFloatToIntConversion |
	api.CoreFeatureReferenceTypes |
	api.CoreFeatureSignExtensionOps |
	api.CoreFeatureSIMD

// Engine is how guests are executed here: "compiler", or "interpreter" where wazero
// compiles for no such machine. The interpreter is some 60 times slower and its stack
// holds only 2,000 frames.
func Engine() string {
	switch {
	case !slices.Contains([]string{"linux", "darwin", "freebsd", "netbsd", "windows"}, runtime.GOOS):
		return "interpreter"
	case runtime.GOARCH == "arm64", runtime.GOARCH == "amd64" && cpu.X86.HasSSE41:
		return "compiler"
	}
	return "interpreter"
}

// Machine names what compiled code depends on besides the program: it is good for this
// engine on a machine like this one only.
func Machine() string {
	return fmt.Sprintf("%d %s %s %s %s %+v %+v", prepare.Version, engineVersion(), Engine(), runtime.GOOS, runtime.GOARCH, cpu.X86, cpu.ARM64)
}

// engineVersion names the wazero in this build.
func engineVersion() string {
	const path = "github.com/tetratelabs/wazero"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == path {
			return dep.Version
		}
	}
	return "unknown"
}

// engineConfig is what the compile child and the run child must have the same, or else the
// one would not find in the cache what the other put there.
func engineConfig(cache wazero.CompilationCache, interpret bool) wazero.RuntimeConfig {
	config := wazero.NewRuntimeConfigInterpreter()
	if !interpret && Engine() == "compiler" {
		config = wazero.NewRuntimeConfigCompiler()
	}
	// Debug information would be read for nothing but prettier traces.
	return config.WithCoreFeatures(features).WithDebugInfoEnabled(false).WithCompilationCache(cache)
}
