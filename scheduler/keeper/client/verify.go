package client

import (
	"sync"

	"github.com/shoalgrid/shoal/jobs"
)

// maxRemembered bounds each of the two generations of signatures that are remembered.
const maxRemembered = 1 << 14

// Remembering has each signature verified once, as far as it remembers: the same batch comes from
// every keeper of a shard, and a verification costs as much as hashing 50 kB.
func Remembering(verify jobs.Verifier) jobs.Verifier {
	var mu sync.Mutex
	type name [16]byte // of a digest: enough that nobody finds a second signature for one, and half the memory
	young, old := map[name]struct{}{}, map[name]struct{}{}
	return func(author jobs.NodeID, message, sig []byte) bool {
		sum := jobs.Sum(author[:], sig, message)
		this := name(sum[:16])
		mu.Lock()
		_, known := young[this]
		if !known {
			_, known = old[this]
		}
		mu.Unlock()
		if known {
			return true
		}
		if !verify(author, message, sig) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if len(young) >= maxRemembered {
			young, old = map[name]struct{}{}, young
		}
		young[this] = struct{}{}
		return true
	}
}
