package web_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

var longJob = flag.Int("long-job", 2000, "units of the job that TestALongJobIsWatched watches to its end")

// weight is what a watched job costs at a time.
type weight struct {
	done     int64 // units
	node     int64 // bytes that the node holds
	page     int64 // bytes that the page's script holds
	elements int   // of the page
}

// TestALongJobIsWatched runs a job of many small units to its end, with its page open in a browser
// and its readings and events streaming, and compares what node and page hold on the way.
func TestALongJobIsWatched(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a job of many units in a real node, and a browser")
	}
	b := open(t)
	g := gridtest.New(t, gridtest.Build(t))
	n := g.Start("node", "donate")
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte(strings.Repeat("31\n", *longJob)), 0o644); err != nil {
		t.Fatal(err)
	}
	first := link(t, n)
	base := first[:strings.Index(first, "/open/")]
	b.visit(first, "#jobs")
	session := enter(t, link(t, n))
	job, _ := n.Submit(mersenne(t), "--lines", lines, "--per-unit", "1")
	b.visit(base+"/jobs/"+job, "#progress")
	for _, path := range []string{"/live", "/api/v1/events"} {
		listen(t.Context(), t, base+path, session)
	}
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() {
		watched <- n.API.Watch(ctx, job, func(*api.Job) error { return nil })
	}()
	t.Cleanup(stop)

	const looks = 8
	var all []weight
	t.Log("    units  node KiB  page KiB  elements")
	for i := range looks + 1 {
		target := int64(*longJob) * int64(i) / looks
		within := gridtest.Patience + time.Duration(*longJob/looks)*20*time.Millisecond
		if !g.UntilWithin(within, func() bool { j := n.Job(job); return j != nil && j.Units.Agreed >= target }) {
			t.Fatalf("waited %s in vain for %d units", within, target)
		}
		w := weigh(t, b, n, job)
		t.Logf("%9d  %8d  %8d  %8d", w.done, w.node>>10, w.page>>10, w.elements)
		all = append(all, w)
	}
	if err := <-watched; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("watching: %v", err)
	}
	b.await("the page says that it is done", `document.querySelector("#progress .badge").textContent === "done"`)
	b.calm()
	early, last := all[1], all[looks] // the first look may come before the first unit
	if last.page > early.page+(2<<20) || last.elements > 2*early.elements {
		t.Errorf("the page grows: %+v, then %+v", early, last)
	}
	// Of each decided unit a keeper holds its records, a KiB or two, until its shard is finished: a
	// worker has 16 shards of 1,024 units in hand.
	const records = 16 * 1024 * (2 << 10)
	for _, w := range all[2:] {
		if w.node > early.node+records {
			t.Errorf("the node grows: %+v, then %+v", early, w)
		}
	}
}

// weigh collects the garbage of node and page, and says what is left.
func weigh(t *testing.T, b *browser, n *gridtest.Node, job string) weight {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	page, err := chromedp.Call(b.ctx, runtime.GetHeapUsage, cdp.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	w := weight{page: int64(page.UsedSize), elements: js[int](b, `document.querySelectorAll("*").length`), node: heap(t, n)}
	if j := n.Job(job); j != nil {
		w.done = j.Units.Agreed
	}
	return w
}
