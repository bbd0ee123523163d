package node

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

type noticeKey struct{ ed25519.PrivateKey }

func (k noticeKey) ID() jobs.NodeID      { return jobs.NodeID(k.Public().(ed25519.PublicKey)) }
func (k noticeKey) Sign(m []byte) []byte { return ed25519.Sign(k.PrivateKey, m) }

func noticeKeyOf(n byte) noticeKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return noticeKey{ed25519.NewKeyFromSeed(seed)}
}

// openIdle opens a node in a home, which does nothing by itself.
func openIdle(t *testing.T, home string, follow ...noticeKey) *Node {
	t.Helper()
	c := config.Default()
	for _, k := range follow {
		c.Follow = append(c.Follow, k.ID().String())
	}
	n, err := Open(Options{Home: home, Config: c, Version: "test", Offline: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func noticeOf(t *testing.T, k noticeKey, at time.Time, text string) []byte {
	t.Helper()
	raw, err := jobs.SignNotice(jobs.Notice{Version: jobs.NoticeVersion, Network: "main", Submitter: k.ID(), At: at.Unix(), Text: text}, k)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A node carries the newest few notices of those that concern it, over a restart, and gives a peer
// what it lacks; what a stranger says costs it nothing.
func TestNotices(t *testing.T) {
	home, now := t.TempDir(), time.Now()
	followed, stranger := noticeKeyOf(1), noticeKeyOf(2)
	n := openIdle(t, home, followed)
	ctx := context.Background()
	for name, c := range map[string]struct {
		raw  []byte
		want bool
	}{
		"of a stranger":    {noticeOf(t, stranger, now, "buy now"), false},
		"too old":          {noticeOf(t, followed, now.Add(-91*24*time.Hour), "long ago"), false},
		"of the future":    {noticeOf(t, followed, now.Add(2*time.Hour), "tomorrow"), false},
		"no notice":        {[]byte{0x80}, false},
		"of one followed":  {noticeOf(t, followed, now.Add(-time.Hour), "hello"), true},
		"of one's own key": {noticeOf(t, noticeKey{n.identity.Key()}, now, "mine"), true},
	} {
		if got := n.notices.hear(ctx, c.raw, now); got != c.want {
			t.Errorf("%s: taken: %v", name, got)
		}
		if n.notices.hear(ctx, c.raw, now) {
			t.Errorf("%s: taken twice", name)
		}
	}
	for i := range 3 * noticesEach {
		n.notices.hear(ctx, noticeOf(t, followed, now.Add(time.Duration(i)*time.Second), fmt.Sprint("news ", i)), now)
	}
	wanted := func(n *Node) {
		t.Helper()
		list, err := n.Notices(ctx)
		if err != nil || len(list) != noticesEach+1 || list[0].Text != fmt.Sprint("news ", 3*noticesEach-1) || list[noticesEach].Text != "mine" {
			t.Errorf("%d notices, %v: %+v", len(list), err, list)
		}
	}
	wanted(n)
	if a := n.notices.answer(&protocol.NoticesRequest{}); len(a.Notices) != noticesEach+1 {
		t.Errorf("a peer without any gets %d", len(a.Notices))
	}
	q := &protocol.NoticesRequest{}
	for id := range n.notices.notices {
		q.Have = append(q.Have, shortID(id))
	}
	if a := n.notices.answer(q); len(a.Notices) != 0 {
		t.Errorf("a peer with all gets %d", len(a.Notices))
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openIdle(t, home, followed)
	wanted(n)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// Names are remembered over restarts, as many as there is room for, and only such as can be shown.
func TestNames(t *testing.T) {
	home := t.TempDir()
	n := openIdle(t, home)
	ctx := context.Background()
	for i := range maxNames + 50 {
		id := noticeKeyOf(0).ID()
		id[0], id[1] = byte(i), byte(i>>8)
		if err := n.names.learn(ctx, id, fmt.Sprint("node ", i)); err != nil {
			t.Fatal(err)
		}
	}
	last := noticeKeyOf(9).ID()
	for _, name := range []string{"ada", "e\x1b[2Jvil", ""} {
		if err := n.names.learn(ctx, last, name); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(n.names.all()); got != maxNames || n.nameOf(last) != "ada" {
		t.Errorf("%d names, the last %q", got, n.nameOf(last))
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openIdle(t, home)
	if got := len(n.names.all()); got != maxNames || n.nameOf(last) != "ada" {
		t.Errorf("after a restart: %d names, the last %q", got, n.nameOf(last))
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
