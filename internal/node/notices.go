package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/p2p"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

// Bounds of notices.
const (
	noticesEach = 8 // of a submitter: the newest
	noticeLife  = 90 * 24 * time.Hour
	noticeAhead = time.Hour   // by which a submitter's clock may be wrong
	servedFresh = time.Minute // before the account is read again
)

// noticeBoard carries submitters' notices: those of its own node, of those that are followed, of
// those whose jobs ran here, and of those with a job on the board. So a stranger without a job, who
// costs nothing to invent, fills nobody's disk, and a donor that was away hears of its submitters'
// from other donors.
type noticeBoard struct {
	n    *Node
	disk disk.Disk

	mu       sync.Mutex
	notices  map[jobs.Digest]heardNotice
	served   map[jobs.NodeID]bool
	servedAt time.Time
}

type heardNotice struct {
	*jobs.Notice
	raw []byte
}

func openNotices(n *Node, d disk.Disk) (*noticeBoard, error) {
	b := &noticeBoard{n: n, disk: d, notices: map[jobs.Digest]heardNotice{}}
	return b, d.Scan(nil, func(_, raw []byte) error {
		if notice, id, err := jobs.OpenNotice(raw, n.network); err == nil {
			b.notices[id] = heardNotice{notice, slices.Clone(raw)}
		}
		return nil
	})
}

// hear takes a notice, if it is one to carry, and keeps it on disk.
func (b *noticeBoard) hear(ctx context.Context, raw []byte, now time.Time) bool {
	notice, id, err := jobs.OpenNotice(raw, b.n.network)
	if err != nil || now.Unix() > notice.At+int64(noticeLife/time.Second) || notice.At > now.Add(noticeAhead).Unix() {
		return false
	}
	b.mu.Lock()
	_, known := b.notices[id]
	b.mu.Unlock()
	if known || !b.carries(notice.Submitter, now) {
		return false
	}
	b.mu.Lock()
	b.notices[id] = heardNotice{notice, raw}
	gone := b.bound(now)
	_, kept := b.notices[id]
	b.mu.Unlock()
	for _, old := range gone {
		err = cmp.Or(err, b.disk.Delete(ctx, old[:]))
	}
	if kept {
		err = cmp.Or(err, b.disk.Put(ctx, disk.Pair{Key: id[:], Value: raw}))
	}
	if err != nil {
		b.n.log.Warn("a notice could not be stored", "error", err)
	}
	return kept
}

// bound drops what is too old, or too much: the oldest first. b.mu is held.
func (b *noticeBoard) bound(now time.Time) (gone []jobs.Digest) {
	ids := b.newestFirst()
	each := map[jobs.NodeID]int{}
	for i, id := range ids {
		notice := b.notices[id]
		each[notice.Submitter]++
		if i >= protocol.MaxNotices || each[notice.Submitter] > noticesEach || now.Unix() > notice.At+int64(noticeLife/time.Second) {
			delete(b.notices, id)
			gone = append(gone, id)
		}
	}
	return gone
}

func (b *noticeBoard) newestFirst() []jobs.Digest {
	var ids []jobs.Digest
	for id := range b.notices {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y jobs.Digest) int {
		return cmp.Or(cmp.Compare(b.notices[y].At, b.notices[x].At), slices.Compare(x[:], y[:]))
	})
	return ids
}

// concerns reports whether a submitter's notices are for this node's owner.
func (b *noticeBoard) concerns(id jobs.NodeID, now time.Time) bool {
	b.n.mu.Lock()
	choice, err := b.n.lending.config.Choice()
	b.n.mu.Unlock()
	_, followed := choice.Followed[id]
	return err == nil && !choice.Peers[id] && (followed || b.hasServed(id, now))
}

// carries reports whether they are to be kept, and passed on.
func (b *noticeBoard) carries(id jobs.NodeID, now time.Time) bool {
	if id == b.n.self || b.concerns(id, now) {
		return true
	}
	return slices.ContainsFunc(b.n.board.all(), func(j *jobs.Job) bool { return j.Head.Submitter == id })
}

// hasServed reports whether units of a submitter ran here.
func (b *noticeBoard) hasServed(id jobs.NodeID, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.served == nil || now.Sub(b.servedAt) > servedFresh {
		rows, err := b.n.worker.Account()
		if err != nil {
			b.n.log.Debug("the account cannot be read", "error", err)
			return false
		}
		b.served, b.servedAt = map[jobs.NodeID]bool{}, now
		for _, r := range rows {
			b.served[r.Submitter] = true
		}
	}
	return b.served[id]
}

// shortID is the beginning of an id, by which notices are compared.
func shortID(id jobs.Digest) uint64 { return binary.BigEndian.Uint64(id[:]) }

// answer gives a peer what it lacks.
func (b *noticeBoard) answer(q *protocol.NoticesRequest) *protocol.NoticesAnswer {
	have := map[uint64]bool{}
	for _, id := range q.Have[:min(len(q.Have), protocol.MaxNotices)] {
		have[id] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &protocol.NoticesAnswer{}
	for _, id := range b.newestFirst() {
		if !have[shortID(id)] {
			a.Notices = append(a.Notices, b.notices[id].raw)
		}
	}
	return a
}

// copyFrom takes over what a peer carries and this node should.
func (b *noticeBoard) copyFrom(ctx context.Context, peer jobs.NodeID) {
	q := &protocol.NoticesRequest{}
	b.mu.Lock()
	for id := range b.notices {
		q.Have = append(q.Have, shortID(id))
	}
	b.mu.Unlock()
	var a protocol.NoticesAnswer
	if err := b.n.net.ask(ctx, peer, protocol.Notices, q, &a); err != nil {
		return // it does not know of notices, or has gone: others do
	}
	now := time.Now()
	for _, raw := range a.Notices[:min(len(a.Notices), protocol.MaxNotices)] {
		b.hear(ctx, raw, now)
	}
}

// Notify tells all who work for this node's jobs, or follow it, something. ref is the job that it is
// about, or "".
func (n *Node) Notify(ctx context.Context, ref, text string) error {
	notice := jobs.Notice{Version: jobs.NoticeVersion, Network: n.network, Submitter: n.self, At: time.Now().Unix(), Text: text}
	if ref != "" {
		job, err := n.resolve(ctx, ref)
		if err != nil {
			return err
		}
		if job.Head.Submitter != n.self {
			return &api.Error{Code: api.CodeRefused, Message: "job " + job.ID.Short() + " is another node's", Hint: "shoal status lists this node's jobs"}
		}
		notice.Job = job.ID
	}
	raw, err := jobs.SignNotice(notice, n.identity)
	if err != nil {
		return &api.Error{Code: api.CodeUsage, Message: err.Error(), Hint: "a notice is one line of up to 1,024 bytes"}
	}
	n.notices.hear(ctx, raw, time.Now())
	host, err := n.net.up()
	if err != nil {
		return nil // peers ask for it later
	}
	if len(raw) <= p2p.MaxAnnouncement {
		if err := host.Announce(ctx, raw); err != nil {
			n.log.Debug("notice not announced", "error", err)
		}
	}
	return nil
}

// Notices are those for this node's owner, and the owner's own, the newest first.
func (n *Node) Notices(context.Context) ([]api.Notice, error) {
	b, now := n.notices, time.Now()
	b.mu.Lock()
	var all []*jobs.Notice
	ids := b.newestFirst()
	for _, id := range ids {
		all = append(all, b.notices[id].Notice)
	}
	b.mu.Unlock()
	out := []api.Notice{}
	for i, notice := range all {
		if notice.Submitter != n.self && !b.concerns(notice.Submitter, now) {
			continue
		}
		e := api.Notice{ID: ids[i].String(), Submitter: notice.Submitter.String(), SubmitterName: n.nameOf(notice.Submitter), Own: notice.Submitter == n.self, At: time.Unix(notice.At, 0).UTC(), Text: notice.Text}
		if notice.Job != (jobs.JobID{}) {
			e.Job = notice.Job.String()
		}
		out = append(out, e)
	}
	return out, nil
}
