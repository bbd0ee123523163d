package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/wasm"
)

// release is the version that this source is of.
const release = "0.1.0"

// version is the release, with the commit where the build knows one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = "+" + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = ".changed"
		}
	}
	if commit == "" {
		return release
	}
	return release + commit + changed
}

// versionDocument is what scripts read of a build.
type versionDocument struct {
	Schema   string `json:"schema"` // shoal.version/1
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Engine   string `json:"engine"`
	Profile  int    `json:"profile"` // the newest by which programs are run
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "what this shoal is",
		Example: `  shoal version --output json`,
		Args:    exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			v := versionDocument{Schema: "shoal.version/1", Version: version(), Go: runtime.Version(),
				Platform: runtime.GOOS + "/" + runtime.GOARCH, Engine: wasm.Engine(), Profile: wasm.MaxProfile}
			return p.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "shoal %s · %s · %s · engine %s\n", v.Version, v.Platform, v.Go, v.Engine)
			})
		},
	}
}
