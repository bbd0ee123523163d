package keeper

import (
	"testing"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Manifests lie in memory, outside any quota of the disk. A stranger who publishes without end is
// refused at half of what there is room for, all strangers together at all of it, and this node's own
// jobs never.
func TestRoomForManifests(t *testing.T) {
	self, eve, mallory, ann := jobs.NodeID{1}, jobs.NodeID{2}, jobs.NodeID{3}, jobs.NodeID{4}
	manifest := make([]byte, jobs.MaxManifest) // all share it
	small := manifest[:100]
	for _, c := range []struct {
		name     string
		manifest []byte
		half     int // shards that one submitter has room for
	}{
		{"the largest manifests", manifest, maxManifests / 2 / len(manifest)},
		{"small manifests", small, maxShards/2 - 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &Keeper{self: self, shards: map[protocol.ShardRef]*shard{}}
			shards, size := 0, 0
			publish := func(s jobs.NodeID) bool {
				if !k.room(s, len(c.manifest)) {
					return false
				}
				ref := protocol.ShardRef{Job: jobs.JobID(s), Shard: uint32(shards)}
				k.shards[ref] = &shard{ref: ref, job: &jobs.Job{Head: jobs.Head{Submitter: s}}, meta: meta{Manifest: c.manifest}}
				shards, size = shards+1, size+len(c.manifest)
				return true
			}
			// fill publishes as many as must fit, without asking for each: asking walks all shards.
			fill := func(s jobs.NodeID, n int) {
				for range n - 1 {
					ref := protocol.ShardRef{Job: jobs.JobID(s), Shard: uint32(shards)}
					k.shards[ref] = &shard{ref: ref, job: &jobs.Job{Head: jobs.Head{Submitter: s}}, meta: meta{Manifest: c.manifest}}
					shards, size = shards+1, size+len(c.manifest)
				}
				if !publish(s) {
					t.Errorf("%d shards are too many of one submitter", n)
				}
			}
			fill(eve, c.half)
			for publish(eve) {
			}
			if shards > maxShards/2 || size > maxManifests/2 {
				t.Errorf("one stranger has %d shards, %d bytes of manifests", shards, size)
			}
			if !publish(ann) {
				t.Error("another finds no room")
			}
			fill(mallory, c.half-1)
			for publish(mallory) || publish(ann) {
			}
			if shards > maxShards || size > maxManifests {
				t.Errorf("strangers have %d shards, %d bytes of manifests", shards, size)
			}
			if !k.room(self, len(c.manifest)) {
				t.Error("there is no room for this node's own")
			}
		})
	}
}
