package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The kinds of an Event.
const (
	StatusEvent = "status" // Data is a Status
	JobEvent    = "job"    // Data is a Job of this node's own
	ErrorEvent  = "error"  // Data is an Error: the node could not be read for a while
)

// Event is one change in the node.
type Event struct {
	ID   string // where to go on from
	Kind string
	Data json.RawMessage
}

// What a Feed keeps, and how often it looks.
const (
	maxEvents     = 256
	maxEventBytes = 4 << 20 // of those, together
	feedTime      = time.Second
	beatTime      = 15 * time.Second // between two signs of life where nothing changes
)

// Feed tells what changes in a node to any number of followers. It looks only while somebody
// follows, and keeps the last changes for those who come back. Nothing is kept for a follower:
// one that is slower than the changes is told the whole state anew.
type Feed struct {
	node interface {
		Status(ctx context.Context) (*Status, error)
	}
	epoch string // of this process: what was said by another cannot be gone on from
	poke  chan struct{}

	mu        sync.Mutex
	events    []Event
	bytes     int
	next      int64 // number of the next event
	status    []byte
	jobs      map[string][]byte
	changed   chan struct{} // closed at the next event
	followers int
	stop      context.CancelFunc // ends the looking
}

// NewFeed is the feed of a node.
func NewFeed(node interface {
	Status(ctx context.Context) (*Status, error)
},
) *Feed {
	return &Feed{node: node, epoch: rand.Text()[:8], poke: make(chan struct{}, 1), jobs: map[string][]byte{}, changed: make(chan struct{}), next: 1}
}

// Poke makes a feed that is followed look at once.
func (f *Feed) Poke() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// Follow calls tell with the whole status and then with the changes as they come, until tell
// fails or ctx ends. Where after is the ID of an event that is still known, it goes on behind
// that one. No events at all say that nothing has changed for a while.
func (f *Feed) Follow(ctx context.Context, after string, tell func([]Event) error) error {
	f.join(ctx)
	defer f.leave()
	at, known := f.position(after)
	beat := time.NewTicker(beatTime)
	defer beat.Stop()
	for {
		f.mu.Lock()
		news, changed := f.since(at, known), f.changed
		f.mu.Unlock()
		if len(news) > 0 {
			if err := tell(news); err != nil {
				return err
			}
			at, known = f.position(news[len(news)-1].ID)
			beat.Reset(beatTime)
			continue
		}
		select {
		case <-changed:
		case <-beat.C:
			if err := tell(nil); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// since is what to tell who stands at an event: the events behind it where they are all known,
// else the whole. The caller holds mu.
func (f *Feed) since(at int64, known bool) []Event {
	if f.status == nil {
		return nil // nothing was seen yet
	}
	first := f.next - int64(len(f.events))
	if !known || at < first-1 {
		return []Event{{ID: f.id(f.next - 1), Kind: StatusEvent, Data: f.status}}
	}
	return slices.Clone(f.events[min(at+1-first, int64(len(f.events))):])
}

func (f *Feed) id(n int64) string { return f.epoch + "-" + strconv.FormatInt(n, 10) }

// position is the number of an event of this process.
func (f *Feed) position(id string) (int64, bool) {
	epoch, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(number, 10, 64)
	f.mu.Lock()
	defer f.mu.Unlock()
	return n, err == nil && epoch == f.epoch && n >= 0 && n < f.next
}

// join counts a follower; the first one makes the feed look.
func (f *Feed) join(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers++; f.followers > 1 {
		return
	}
	looking, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	go f.look(looking)
}

// leave counts a follower out; the last one ends the looking.
func (f *Feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers--; f.followers == 0 {
		f.stop()
	}
}

func (f *Feed) look(ctx context.Context) {
	tick := time.NewTicker(feedTime)
	defer tick.Stop()
	for {
		s, err := f.node.Status(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.fail(err)
		} else {
			f.take(s)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.poke:
		}
	}
}

// take compares a status with the one before, and tells what is new.
func (f *Feed) take(s *Status) {
	whole := mustEncode(s)
	quiet := *s
	quiet.Node.UptimeSeconds, quiet.Jobs = 0, nil
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.jobs[""]
	now := map[string][]byte{"": mustEncode(quiet)} // no job has this name
	first := f.status == nil
	f.status = whole
	for i := range s.Jobs {
		text := mustEncode(s.Jobs[i])
		now[s.Jobs[i].Job] = text
		if !first && !bytes.Equal(text, f.jobs[s.Jobs[i].Job]) {
			f.add(JobEvent, text)
		}
	}
	if first || !bytes.Equal(before, now[""]) {
		f.add(StatusEvent, whole)
	}
	f.jobs = now
}

// fail tells that the node cannot be read.
func (f *Feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(ErrorEvent, encodeError(err))
}

// add appends an event, drops the oldest where there are too many, and wakes the followers. The
// caller holds mu.
func (f *Feed) add(kind string, data []byte) {
	f.events = append(f.events, Event{ID: f.id(f.next), Kind: kind, Data: data})
	f.next++
	f.bytes += len(data)
	for len(f.events) > maxEvents || f.bytes > maxEventBytes && len(f.events) > 1 {
		f.bytes -= len(f.events[0].Data)
		f.events[0] = Event{}
		f.events = f.events[1:]
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

func mustEncode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // documents of this package: cannot be
		panic(err)
	}
	return text
}
