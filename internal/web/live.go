package web

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

const (
	restTime = 400 * time.Millisecond // at least between two of a page's looks
	lookTime = time.Second            // between two looks at a job
	beatTime = 15 * time.Second       // between two signs of life where nothing changes
)

// teller sends those parts of a page that have changed. It remembers what it sent, which is as
// much as the page shows.
type teller struct {
	s    *Site
	name string
	out  *api.EventWriter
	sent map[string]string
	last time.Time
}

func (s *Site) newTeller(w http.ResponseWriter, name string) (*teller, error) {
	out, err := api.NewEventWriter(w)
	if err != nil {
		return nil, err
	}
	return &teller{s: s, name: name, out: out, sent: map[string]string{}}, nil
}

// tell sends what is new on a page.
func (t *teller) tell(p *page) error {
	p.Name = t.name
	var news bytes.Buffer
	for _, part := range p.Parts {
		var text bytes.Buffer
		if err := t.s.pages.ExecuteTemplate(&text, part, p); err != nil {
			return err
		}
		if t.sent[part] == text.String() {
			continue
		}
		t.sent[part] = text.String()
		fmt.Fprintf(&news, "<hx-partial hx-target=\"#%s\" hx-swap=\"innerMorph\">%s</hx-partial>\n", part, text.Bytes())
	}
	if news.Len() == 0 {
		return nil
	}
	return t.out.Send("", "", news.Bytes())
}

// beat tells the page's script that the stream is alive: a comment it would not see.
func (t *teller) beat() error { return t.out.Send("", "here", []byte("here")) }

// rest waits so long that a page is not made too often.
func (t *teller) rest(r *http.Request) {
	wait := time.NewTimer(time.Until(t.last.Add(restTime)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
	}
	t.last = time.Now()
}

// follow tells a page's news whenever something has changed in the node.
func (s *Site) follow(name string, make maker) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		t, err := s.newTeller(w, name)
		if err != nil {
			return err
		}
		return s.cfg.Feed.Follow(r.Context(), "", func(news []api.Event) error {
			t.rest(r)
			p, err := make(r)
			if err != nil {
				return err
			}
			if err := t.tell(p); err != nil || len(news) > 0 {
				return err
			}
			return t.beat()
		})
	}
}

// watch tells how a job goes until it is final, and then nothing more: the page stays. It looks
// every second, not only when something has changed: how long it may take changes by itself.
func (s *Site) watch(w http.ResponseWriter, r *http.Request) error {
	p, err := s.job(r)
	if err != nil {
		return err
	}
	t, err := s.newTeller(w, "job")
	if err != nil {
		return err
	}
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	beat := time.NewTicker(beatTime)
	defer beat.Stop()
	for {
		if err := t.tell(p); err != nil {
			return err
		}
		if p.Final {
			tick.Stop()
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-beat.C:
			if err := t.beat(); err != nil {
				return err
			}
		case <-tick.C:
			if p, err = s.job(r); err != nil {
				return err
			}
		}
	}
}
