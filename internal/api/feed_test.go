package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// changing is a node whose status a test changes.
type changing struct {
	mu    sync.Mutex
	s     Status
	err   error
	asked int
}

func (c *changing) Status(context.Context) (*Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	s := c.s
	s.Node.UptimeSeconds = int64(c.asked)
	s.Jobs = append([]Job(nil), c.s.Jobs...)
	return &s, c.err
}

func (c *changing) set(f func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.s)
}

// follower is what one who follows has heard.
type follower struct {
	stop func()

	mu    sync.Mutex
	heard []string
	id    string
}

// take is what was heard since the last time, and where that ends.
func (x *follower) take() (heard, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	heard = strings.Join(x.heard, ", ")
	x.heard = nil
	return heard, x.id
}

func follow(f *Feed, after string) *follower {
	ctx, cancel := context.WithCancel(context.Background())
	x := &follower{}
	ended := make(chan struct{})
	x.stop = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		_ = f.Follow(ctx, after, func(news []Event) error { // ends with ctx
			x.mu.Lock()
			defer x.mu.Unlock()
			for _, e := range news {
				word := e.Kind
				if e.Kind == JobEvent {
					var j Job
					_ = json.Unmarshal(e.Data, &j) // it would have another name
					word += " " + j.Job
				}
				x.heard, x.id = append(x.heard, word), e.ID
			}
			if len(news) == 0 {
				x.heard = append(x.heard, "beat")
			}
			return nil
		})
	}()
	return x
}

// settle lets some of the bubble's time pass, and all that happens then end.
func settle(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestFeedTellsChangesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &changing{s: Status{Jobs: []Job{{Job: "a"}, {Job: "b"}}}}
		feed := NewFeed(node)
		x := follow(feed, "")
		synctest.Wait()
		expect := func(x *follower, want string) {
			t.Helper()
			settle(feedTime + time.Millisecond)
			if got, _ := x.take(); got != want {
				t.Errorf("heard %q, not %q", got, want)
			}
		}
		expect(x, "status")
		expect(x, "")
		node.set(func(s *Status) { s.Jobs[1].Donors = 3 })
		expect(x, "job b")
		node.set(func(s *Status) { s.Grid.Peers, s.Jobs = 4, append(s.Jobs, Job{Job: "c"}) })
		expect(x, "job c, status")
		settle(beatTime)
		expect(x, "beat")

		x.stop()
		asked := node.asked
		settle(time.Minute)
		if node.asked != asked {
			t.Error("it looks while nobody follows")
		}
		node.set(func(s *Status) { s.Jobs[0].Donors = 1 })
		_, last := x.take()
		back := follow(feed, last) // hears what was missed, and nothing twice
		expect(back, "job a")
		elsewhere := follow(feed, "another-3")
		expect(elsewhere, "status")
		back.stop()
		elsewhere.stop()
	})
}

func TestFeedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &changing{s: Status{Jobs: []Job{{Job: "a"}}}}
		feed := NewFeed(node)
		x := follow(feed, "")
		synctest.Wait()
		_, old := x.take()
		for i := range 3 * maxEvents {
			node.set(func(s *Status) { s.Jobs[0].Donors = i + 1 })
			settle(feedTime)
		}
		if len(feed.events) != maxEvents {
			t.Errorf("%d events are kept", len(feed.events))
		}
		late := follow(feed, old)
		synctest.Wait()
		if got, _ := late.take(); got != "status" {
			t.Errorf("who missed too much heard %.60q", got)
		}
		late.stop()
		long := strings.Repeat("x", maxEventBytes/4)
		for i := range 12 {
			node.set(func(s *Status) { s.Jobs[0].Name = long; s.Jobs[0].Donors = -i })
			settle(feedTime)
		}
		if feed.bytes > maxEventBytes {
			t.Errorf("%d bytes are kept", feed.bytes)
		}
		node.mu.Lock()
		node.err = errors.New("disk on fire")
		node.mu.Unlock()
		x.take()
		settle(feedTime + time.Millisecond)
		if got, _ := x.take(); !strings.HasPrefix(got, ErrorEvent) {
			t.Errorf("of a node that cannot be read one hears %q", got)
		}
		x.stop()
	})
}

// Over the socket, as a browser or curl sees it.
func TestEvents(t *testing.T) {
	c, _ := serve(t, &bench{})
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://shoal/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("kind %q", kind)
	}
	lines := bufio.NewScanner(answer.Body)
	var got []string
	for lines.Scan() && lines.Text() != "" {
		name, _, _ := strings.Cut(lines.Text(), ":")
		got = append(got, name)
	}
	if strings.Join(got, " ") != "id event data" {
		t.Errorf("the first event has %v", got)
	}
}
