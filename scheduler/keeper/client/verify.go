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
	young, old := map[jobs.Digest]bool{}, map[jobs.Digest]bool{}
	return func(author jobs.NodeID, message, sig []byte) bool {
		name := jobs.Sum(author[:], sig, message)
		mu.Lock()
		known := young[name] || old[name]
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
			young, old = map[jobs.Digest]bool{}, young
		}
		young[name] = true
		return true
	}
}
