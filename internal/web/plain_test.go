package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// TestPageWithoutScript clicks through a real node's page in a browser that runs no script:
// everything is a link or a form, and the page comes again by itself.
func TestPageWithoutScript(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a node and a browser")
	}
	b := open(t)
	g := gridtest.New(t, gridtest.Build(t))
	me := g.Start("me", "donate", "--cores", "1", "--when", "always", "--name", "ada")
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	first := link(t, me)
	base := first[:strings.Index(first, "/open/")]
	b.visit(first, "#jobs")
	if text := b.text("footer"); !strings.Contains(text, "Reload") {
		t.Fatalf("a script ran: the page says %q", text)
	}

	b.click(`nav a[href="/submit"]`)
	b.await("the form is there", `document.querySelector("#program") !== null`)
	b.do("fill it in", chromedp.SetUploadFiles(`#program`, []string{mersenne(t)}), chromedp.SendKeys(`#name`, "by hand"),
		chromedp.SetValue(`#from`, "2"), chromedp.SetValue(`#to`, "40"), chromedp.Click(`form.submit button`))
	b.await("the job is shown", `document.querySelector("#progress") !== null`)
	job := b.text("h1 code")
	if title := b.text("h1"); !strings.HasPrefix(title, "by hand") {
		t.Errorf("the job is called %q", title)
	}
	me.AwaitEnd(job)
	b.await("the page has come again by itself, and says that it is done", `document.querySelector("#progress .badge").textContent === "done"`)
	if got := b.text("#progress .done"); got != "39 of 39 inputs" {
		t.Errorf("the page says %q", got)
	}
	if saved := js[string](b, `document.querySelector("#save").getAttribute("href")`); saved != "/jobs/"+job+"/answers" {
		t.Errorf("answers are at %q", saved)
	}
	b.shoot("plain-job")

	b.click(`nav a[href="/donate"]`)
	b.await("one can pause", `document.querySelector("#pause") !== null`)
	for _, step := range []struct{ button, says, state string }{
		{"#pause", "Paused.", api.DonatingPaused}, {"#resume", "Donating again.", api.DonatingOn},
	} {
		b.click(step.button)
		b.await("it says "+step.says, fmt.Sprintf(`document.querySelector("#notice")?.textContent === %q`, step.says))
		if got := me.Status().Donating.State; got != step.state {
			t.Errorf("after %s the node is %s", step.button, got)
		}
	}
	b.do("set a limit", chromedp.SetValue(`#limit-others-cpu`, "60"), chromedp.Click(`form.limits button`))
	b.await("it is set", `document.querySelector("#notice")?.textContent.includes("limits are set") && document.querySelector("#limit-others-cpu").value === "60"`)
	b.shoot("plain-donate")

	b.visit(base+"/jobs/nothing", "main h1")
	if got := b.text("main h1"); got != "Not found" {
		t.Errorf("of a job that there is not the page says %q", got)
	}
	b.calm()
}
