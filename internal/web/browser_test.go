package web_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

// patience is how long a page may take to show what its node says already. How long the node takes
// is asked of the node.
const patience = time.Minute

// browser is a real Chromium that a test drives. What its console complains of fails the test:
// a policy that was broken, a script that threw.
type browser struct {
	t     *testing.T
	ctx   context.Context
	shots string

	mu         sync.Mutex
	complaints []string
}

// open starts the browser, or skips the test where there is none.
func open(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no chromium is installed: apt-get install chromium")
	}
	b := &browser{t: t, shots: os.Getenv("SHOAL_SCREENSHOTS")}
	if b.shots == "" {
		b.shots = filepath.Join(os.TempDir(), "shoal-screenshots")
	}
	if err := os.MkdirAll(b.shots, 0o755); err != nil {
		t.Fatal(err)
	}
	temp, err := os.MkdirTemp("", "shoal-chromium-") //nolint:usetesting // its processes may write yet when the test ends
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Env("TMPDIR="+temp), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	b.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Listen(b.ctx, b.hear); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	if _, err := chromedp.Call(b.ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear takes down what the console says.
func (b *browser) hear(event any) {
	var text string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			text = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
	}
	if text != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, text)
	}
}

// calm fails the test if the console has complained.
func (b *browser) calm() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the console says: %s", c)
	}
	b.complaints = nil
}

// do does something in the browser, which must succeed in time.
func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, gridtest.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail(what, err)
	}
}

// fail ends the test with what the page looks like.
func (b *browser) fail(what string, err error) {
	b.t.Helper()
	b.shot("failed")
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`)) // as far as it goes
	b.t.Fatalf("%s: %v\nthe page says:\n%s", what, err, text)
}

// js is the value of an expression on the page; promises are waited for.
func js[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, gridtest.Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.fail(expression, err)
	}
	return v
}

// look changes the window's size and scheme.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	b.do("change the window", chromedp.EmulateViewport(width, height))
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.fail("change the scheme", err)
	}
}

// shot keeps a picture of the whole page.
func (b *browser) shot(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Errorf("screenshot %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(b.shots, name+".png"), picture, 0o644); err != nil {
		b.t.Error(err)
	}
}

// shoot keeps pictures of a page as it is on a desk and in a hand, by day and by night.
func (b *browser) shoot(name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.look(390, 844, scheme)
		b.fits(name)
		b.shot(fmt.Sprintf("%s-390-%s", name, scheme))
		b.look(1280, 900, scheme)
		b.shot(fmt.Sprintf("%s-1280-%s", name, scheme))
	}
}

// fits fails the test if the page is wider than its window.
func (b *browser) fits(name string) {
	b.t.Helper()
	over := js[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
	if over > 0 {
		b.t.Errorf("%s is %v pixels too wide for a phone", name, over)
	}
}

// text is what an element says.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return strings.Join(strings.Fields(js[string](b, fmt.Sprintf(`document.querySelector(%q).innerText`, selector))), " ")
}

// await waits until a condition of the page holds, without touching the page. It may go on to
// another page meanwhile.
func (b *browser) await(what, condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition))
		if err == nil && holds {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.fail("wait until "+what, errors.Join(errors.New("in vain"), err))
		}
	}
}

// visit goes to an address, and waits for an element there.
func (b *browser) visit(address, selector string) {
	b.t.Helper()
	b.do("go to "+address, chromedp.Navigate(address))
	b.await(selector+" is there", fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
}

// click clicks what is there.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.do("click "+selector, chromedp.Click(selector))
}
