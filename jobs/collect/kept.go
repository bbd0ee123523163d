package collect

import (
	"encoding/binary"
	"strings"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// On disk, with the first units of a shard that are accepted of a job which this home has not made:
// the job's head and the shard's manifest. With them answers can be given when nobody is there to
// ask.
const (
	headPrefix = 'h'
	listPrefix = 'm'
)

// storedList is a shard's manifest there, and what shows that it is the one the head commits to.
type storedList struct {
	_        struct{} `cbor:",toarray"`
	Manifest []byte
	Path     []jobs.Digest
}

func listKey(ref protocol.ShardRef) []byte {
	return binary.BigEndian.AppendUint32(jobKey(listPrefix, ref.Job), ref.Shard)
}

// stored reads a shard's manifest from disk; nil where it is not there, or not sound.
func (c *Collector) stored(shard uint32) *listed {
	raw, ok, err := c.cfg.Disk.Get(listKey(protocol.ShardRef{Job: c.job.ID, Shard: shard}))
	var s storedList
	if err != nil || !ok || jobs.Decode(raw, protocol.MaxMessage, &s) != nil {
		return nil
	}
	m, err := jobs.OpenManifest(&c.job.Head, shard, s.Manifest, s.Path)
	if err != nil {
		return nil
	}
	return &listed{manifest: m, path: s.Path, kept: true}
}

// toKeep are the head and the manifest of a shard, unless this home has them.
func (c *Collector) toKeep(ref protocol.ShardRef) []disk.Pair {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.manifests[ref.Shard]
	if m == nil || m.kept {
		return nil
	}
	return []disk.Pair{
		{Key: jobKey(headPrefix, c.job.ID), Value: c.job.Bytes()},
		{Key: listKey(ref), Value: jobs.Encode(storedList{Manifest: jobs.Encode(m.manifest), Path: m.path})},
	}
}

// Kept are the jobs, made in other homes, of which answers were collected on this disk, by the
// beginning of their ids.
func Kept(d disk.Disk, network, ref string) (found []*jobs.Job, err error) {
	err = d.Scan([]byte{headPrefix}, func(key, value []byte) error {
		var id jobs.JobID
		if copy(id[:], key[1:]); !strings.HasPrefix(id.String(), ref) {
			return nil
		}
		if job, err := jobs.OpenHead(value, network); err == nil && job.ID == id {
			found = append(found, job)
		}
		return nil
	})
	return found, err
}
