package archtest

import "strings"

// room is a package, or a folder of them ("x/..."), with what it may import beside the
// standard library, and why no more.
type room struct {
	path string
	may  []string // packages of ours from the root; of others by module; "/..." for all below
	pure bool
	why  string
}

// rooms is the table of DESIGN §2. The first room that covers a package is its room.
func rooms() []room {
	const (
		core    = "the core is the same on every machine and in every test, so it imports only what computes"
		doer    = "doers and adapters meet only in internal/node, so that each can be read, tested and replaced alone"
		adapter = "an adapter hides one outside thing behind the nouns and knows nothing of those who use it"
		sandbox = "the sandbox runs strangers' programs: the less it can reach, the less they can"
	)
	below := []string{"jobs/...", "scheduler/...", "worker/...", "internal/..."}
	return []room{
		{path: "jobs", may: []string{"github.com/fxamacker/cbor/v2", "github.com/mr-tron/base58"}, pure: true, why: core},
		{path: "jobs/disk", pure: true, why: core},
		{path: "jobs/pace", pure: true, why: core},
		{path: "scheduler", may: []string{"jobs"}, pure: true, why: core},
		{path: "scheduler/trust", may: []string{"jobs", "scheduler"}, pure: true, why: core},
		{path: "scheduler/protocol", may: []string{"jobs", "scheduler"}, pure: true, why: core},
		{path: "scheduler/evidence", may: []string{"jobs", "scheduler"}, pure: true, why: core},

		{path: "scheduler/keeper/client", may: []string{"jobs", "scheduler", "scheduler/protocol", "internal/strand"}, why: doer},
		{path: "scheduler/keeper", may: doing(), why: doer},
		{path: "jobs/submit", may: doing(), why: doer},
		{path: "jobs/collect", may: append(doing(), "jobs/pace", "scheduler/trust", "scheduler/evidence"), why: doer},
		{path: "worker", may: append(doing(), "worker/shares"), why: doer},
		{path: "worker/shares", may: []string{"jobs"}, pure: true, why: core},
		{path: "worker/wishes", pure: true, why: core},

		{path: "wasm/...", may: []string{"jobs", "golang.org/x/sys"}, why: sandbox},

		{path: "internal/store/...", may: []string{"jobs", "go.etcd.io/bbolt", "golang.org/x/sys"}, why: adapter},
		{path: "internal/identity", may: []string{"jobs"}, why: adapter},
		{path: "internal/config", may: []string{"internal/whole", "jobs", "worker/shares", "worker/wishes", "github.com/adrg/xdg", "github.com/dustin/go-humanize", "github.com/pelletier/go-toml/v2"}, why: adapter},
		{path: "internal/p2p/...", may: []string{"github.com/prometheus/client_golang", "internal/whole", "jobs", "google.golang.org/protobuf"}, why: adapter},
		{path: "internal/api/...", may: []string{"internal/whole", "golang.org/x/net/netutil"}, why: adapter},
		{path: "internal/whole", why: "it only writes"},
		{path: "internal/words", may: []string{"github.com/dustin/go-humanize"}, why: "it only writes"},
		{path: "internal/web", may: []string{"internal/api", "internal/words", "jobs"}, why: "the page shows what the API says, and knows nothing else"},
		{path: "internal/host", may: []string{"github.com/godbus/dbus/v5", "github.com/shirou/gopsutil/v4", "github.com/ebitengine/purego", "golang.org/x/sys"}, why: adapter},
		{path: "internal/service", may: []string{"internal/whole", "golang.org/x/sys"}, why: adapter},
		{path: "internal/metrics", may: []string{"github.com/prometheus/client_golang", "golang.org/x/net/netutil"}, why: adapter},
		{path: "internal/verify", may: []string{"jobs", "jobs/submit", "scheduler", "scheduler/evidence", "wasm"}, why: "it is run by people who need no node and no network"},
		{path: "internal/archtest", why: "it only reads"},
		{path: "internal/strand", why: "the drivers run on it, so it knows none of them"},
		{path: "internal/testsum", why: "it only counts"},

		{path: "internal/node", may: append([]string{"wasm/..."}, below...), why: "it builds every part, and is no part of cmd"},
		{path: "internal/gridtest", may: []string{"internal/api", "internal/p2p", "jobs", "scheduler", "scheduler/protocol", "wasm"}, why: "it starts processes and asks them what anyone may ask"},
		{path: "internal/sim/...", may: below, why: "it is a whole grid in one process, and is no part of cmd"},
		{
			path: "cmd/shoal",
			// wasm, because the same binary, started again, is the child that runs guests.
			may: []string{"internal/...", "jobs", "wasm", "github.com/charmbracelet/bubbletea", "golang.org/x/term"},
			why: "cmd is the mouth: what it does not say itself, internal/node does",
		},
		{path: "examples/...", why: "an example is a program that anyone can copy out, with the standard library alone"},
	}
}

// doing is what a doer may import: the nouns, the brain, and the way to speak to keepers.
func doing() []string {
	return []string{"jobs", "jobs/disk", "scheduler", "scheduler/protocol", "scheduler/keeper/client", "internal/strand"}
}

func (r room) covers(path string) bool { return covers(r.path, path) }

func (r room) mayImport(path string) bool {
	for _, m := range r.may {
		// A module is allowed with all its packages, a package of ours alone.
		if covers(m, path) || strings.Contains(m, ".") && covers(m+"/...", path) {
			return true
		}
	}
	return false
}

func covers(pattern, path string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == parent || strings.HasPrefix(path, parent+"/")
	}
	return path == pattern
}

// door is a dependency so heavy that one room alone may know it.
type door struct {
	modules []string
	room    string
	why     string
}

func doors() []door {
	return []door{
		{
			modules: []string{"github.com/libp2p", "github.com/ipfs", "github.com/multiformats"},
			room:    "internal/p2p/...", why: "the grid must be testable, and movable, without its network",
		},
		{
			modules: []string{"github.com/tetratelabs/wazero"},
			room:    "wasm/...", why: "what confines strangers' programs must be readable in one place",
		},
		{
			modules: []string{"github.com/spf13"},
			room:    "cmd/shoal", why: "the command line is one way of many to drive a node",
		},
	}
}

// doorOf finds the door that an import belongs to.
func doorOf(imp string) (door, bool) {
	for _, d := range doors() {
		for _, m := range d.modules {
			if covers(m+"/...", imp) {
				return d, true
			}
		}
	}
	return door{}, false
}

func (d door) open(path string) bool { return covers(d.room, path) }

// impureImports is the packages, with all below them, that reach outside a function's
// arguments.
func impureImports() []string {
	return []string{"net", "os", "io/ioutil", "sync", "log", "math/rand", "crypto/rand", "runtime", "syscall", "unsafe", "plugin", "testing"}
}

// clockCalls is what of package time reads or waits for the clock.
func clockCalls() []string {
	return []string{"Now", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Since", "Until"}
}

// emptyWords is names that say nothing of what a package does.
func emptyWords() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "types", "models", "base", "shared", "misc", "lib"}
}
