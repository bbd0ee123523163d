package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/gridtest"
)

// mersenne builds the example program.
func mersenne(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mersenne.wasm")
	cmd := exec.Command("go", "build", "-o", path, "github.com/shoalgrid/shoal/examples/mersenne")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build mersenne: %v\n%s", err, out)
	}
	return path
}

// link is a fresh one-time link to a node's page.
func link(t *testing.T, n *gridtest.Node) string {
	t.Helper()
	s := n.Shoal("ui", "--print")
	if s.Code != 0 || !strings.HasPrefix(string(s.Out), "http://127.0.0.1:") {
		t.Fatalf("shoal ui --print: exit code %d, %q\n%s", s.Code, s.Out, s.Err)
	}
	return strings.TrimSpace(string(s.Out))
}

// TestPage clicks through a real grid of three nodes in a real browser.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes and a browser")
	}
	b := open(t)
	g := gridtest.New(t, gridtest.Build(t))
	me := g.Found("me", "donate", "--cores", "1", "--when", "always", "--name", "me")
	others := g.Crew("donor", 2, "donate", "--cores", "1", "--when", "always")
	g.Meet(2, append(others, me)...)

	first := link(t, me)
	base := first[:strings.Index(first, "/open/")]
	b.visit(first, "#jobs")
	showsTheGrid(t, b, me)
	b.shoot("overview-empty")

	job := submits(t, b, mersenne(t), 700)
	watches(t, b, me, job)
	savesAnswers(t, b, me, job)
	isMeasured(t, me)
	isSeenFromElsewhere(t, b, g, me, job)
	failsInWords(t, b, me, base)
	pauses(t, b, g, me, base)
	b.calm()

	isGuarded(t, b, me, first, base)
	recovers(t, b, me, base, job)
	t.Logf("screenshots are in %s", b.shots)
}

// showsTheGrid compares the ring with what the API says.
func showsTheGrid(t *testing.T, b *browser, n *gridtest.Node) {
	t.Helper()
	peers, err := n.API.Peers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.await("the ring shows every node", fmt.Sprintf(`document.querySelectorAll(".ring .node").length === %d`, len(peers)+1))
	titles := js[[]string](b, `Array.from(document.querySelectorAll(".ring title"), e => e.textContent)`)
	for _, p := range peers {
		if !strings.Contains(strings.Join(titles, "\n"), p.Peer) {
			t.Errorf("%s is not on the ring: %q", p.Peer, titles)
		}
	}
}

// submits sends a program by the form, and gives the id of the job that the page then shows.
func submits(t *testing.T, b *browser, program string, last int) string {
	t.Helper()
	b.click(`a[href="/submit"].button`)
	b.await("the form is there", `document.querySelector("#program") !== null`)
	b.shoot("submit")
	b.do("fill it in", chromedp.SetUploadFiles(`#program`, []string{program}),
		chromedp.SetValue(`#from`, "2"), chromedp.SetValue(`#to`, fmt.Sprint(last)),
		chromedp.Click(`form.submit button`))
	b.await("the job is shown", `document.querySelector("#progress") !== null`)
	return b.text("h1 code")
}

// watches waits, without a reload, until the page says that the job is done, and compares what it
// then shows with what the API says.
func watches(t *testing.T, b *browser, n *gridtest.Node, job string) {
	t.Helper()
	js[chromedp.Void](b, `window.sameOne = true`)
	n.AwaitInputs(job, 1)
	b.await("some inputs are done", `document.querySelector("#progress progress").value > 0`)
	b.await("it says who works on what, unless all is done", `document.querySelector("#holders li") !== null || document.querySelector("#progress .badge").textContent === "done"`)
	b.shoot("job-running")
	j := n.AwaitEnd(job)
	b.await("the job is done", `document.querySelector("#progress .badge").textContent === "done"`)
	b.await("it is the page that was loaded", `window.sameOne === true`)
	b.await("its answers can be saved", `document.querySelector("#save") !== null`)
	b.shoot("job-done")

	for selector, want := range map[string]string{
		"#progress .done":  fmt.Sprintf("%s of %s inputs", comma(j.Inputs.Done), comma(j.Inputs.Total)),
		"#progress .facts": fmt.Sprintf("%d, %.2f a unit", j.Executions, float64(j.Executions)/float64(j.Units.Total)),
		"#units .legend":   fmt.Sprintf("%d agreed", j.Units.Agreed),
	} {
		if got := b.text(selector); !strings.Contains(got, want) {
			t.Errorf("the page says %q, the API %q", got, want)
		}
	}
	d := fetch[api.Detail](b, "/api/v1/jobs/"+job+"/detail")
	same, err := n.API.Detail(t.Context(), job, api.DefaultCells)
	if err != nil {
		t.Fatal(err)
	}
	if d.Job.Job != job || d.Job.Inputs != j.Inputs || len(d.Map.Cells) != int(j.Units.Total) || len(d.Shares) == 0 || !slices.Equal(d.Shares, same.Shares) {
		t.Errorf("behind the door the API says %+v, on the socket %+v", d, same)
	}
	for _, s := range d.Shares {
		b.await("the page names every donor", fmt.Sprintf(`document.querySelector("#shares [title='%s']") !== null`, s.Peer))
	}
}

// comma writes a number below a million as the page does.
func comma(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// fetch asks the API as a script of the page would.
func fetch[T any](b *browser, path string) (v T) {
	b.t.Helper()
	text := js[string](b, fmt.Sprintf(`fetch(%q).then(r => r.text())`, path))
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Fatalf("%s: %v: %.200s", path, err, text)
	}
	return v
}

// savesAnswers compares what the page's link gives with what the command prints.
func savesAnswers(t *testing.T, b *browser, n *gridtest.Node, job string) {
	t.Helper()
	want := n.Shoal("results", job)
	got := js[string](b, `fetch(document.querySelector("#save").href).then(r => r.text())`)
	kind := js[string](b, `fetch(document.querySelector("#save").href).then(r => r.headers.get("content-disposition"))`)
	if got != string(want.Out) || want.Code != 0 || !strings.HasPrefix(kind, "attachment") {
		t.Errorf("saved %d bytes (%s), the command prints %d, exit code %d", len(got), kind, len(want.Out), want.Code)
	}
}

// isMeasured compares what Prometheus is told of a node's jobs with what the API says of them.
func isMeasured(t *testing.T, n *gridtest.Node) {
	t.Helper()
	text := onSocket(t, n, "/metrics")
	list, err := n.API.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{}
	for i := range list {
		want[fmt.Sprintf("shoal_jobs{state=%q}", list[i].State)]++
		want[`shoal_job_units{state="agreed"}`] += list[i].Units.Agreed
		want[`shoal_job_inputs{result="answered"}`] += list[i].Inputs.Done - list[i].Inputs.Failed
		want["shoal_job_executions"] += list[i].Executions
	}
	for series, value := range want {
		if line := fmt.Sprintf("\n%s %d\n", series, value); !strings.Contains(text, line) {
			t.Errorf("Prometheus is not told %q", line)
		}
	}
}

// isSeenFromElsewhere opens the page of a node that was not there when the job was done, while its
// submitter is off: it shows the same job, and has its answers.
func isSeenFromElsewhere(t *testing.T, b *browser, g *gridtest.Grid, me *gridtest.Node, job string) {
	t.Helper()
	answers := me.Shoal("results", job)
	j, submitter := me.Job(job), me.Peer()
	late := g.Start("late", "up")
	g.Meet(2, late)
	me.Kill()
	first := link(t, late)
	b.visit(first, "#jobs")
	b.visit(first[:strings.Index(first, "/open/")]+"/jobs/"+job, "#progress")
	b.await("it is done there, too", `document.querySelector("#progress .badge").textContent === "done"`)
	for selector, want := range map[string]string{
		"#progress .done":  fmt.Sprintf("%s of %s inputs", comma(j.Inputs.Done), comma(j.Inputs.Total)),
		"#progress .facts": "me (" + submitter[:4] + "…" + submitter[len(submitter)-4:] + ")",
		"#units .legend":   fmt.Sprintf("%d agreed", j.Units.Agreed),
	} {
		if got := b.text(selector); !strings.Contains(got, want) {
			t.Errorf("elsewhere the page says %q, not %q", got, want)
		}
	}
	if js[bool](b, `document.querySelector("#cancel button") !== null`) {
		t.Error("others may cancel it")
	}
	saved := js[string](b, `fetch(document.querySelector("#save").href).then(r => r.text())`)
	if saved != string(answers.Out) {
		t.Errorf("elsewhere %d bytes are saved, not %d", len(saved), len(answers.Out))
	}
	b.shoot("job-elsewhere")
	late.Kill()
	me.Restart()
}

// failsInWords submits files to a program that some of them are no input of.
func failsInWords(t *testing.T, b *browser, n *gridtest.Node, base string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"good.txt": "31\n", "bad <b>name.txt": "thirty-one\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	job, _ := n.Submit(mersenne(t), filepath.Join(dir, "good.txt"), filepath.Join(dir, "bad <b>name.txt"))
	n.AwaitEnd(job)
	b.visit(base+"/jobs/"+job, ".failures li")
	if got := b.text("#failures"); !strings.Contains(got, "bad <b>name.txt") || !strings.Contains(got, "exit code") {
		t.Errorf("of the failure the page says %q", got)
	}
	b.shoot("job-failures")
	b.visit(base+"/", ".jobs li")
	b.shoot("overview")
}

// pauses clicks what a donor may wish, and sees what comes of it without a reload.
func pauses(t *testing.T, b *browser, g *gridtest.Grid, n *gridtest.Node, base string) {
	t.Helper()
	b.visit(base+"/donate", "#pause")
	b.shoot("donate")
	b.click("#pause")
	b.await("the page says so", `document.querySelector("#donation strong").textContent === "Paused"`)
	if got := n.Status().Donating.State; got != api.DonatingPaused {
		t.Errorf("the page says paused, the node %s", got)
	}
	b.shoot("donate-paused")
	b.await("one can resume", `document.querySelector("#resume") !== null`)
	b.click("#resume")
	b.await("the page says so", `document.querySelector("#donation strong").textContent === "Donating"`)
	b.do("set a limit", chromedp.SetValue(`#limit-others-cpu`, "60"), chromedp.Click(`form.limits button`))
	b.await("it is set", `document.querySelector("#notice").textContent.includes("limits are set")`)
	g.Until("the node has the limit", func() bool {
		all, err := n.API.Settings(t.Context())
		if err != nil {
			return false
		}
		for _, s := range all {
			if s.Name == "others-cpu" {
				return s.Value == "60"
			}
		}
		return false
	})
}

// isGuarded tries what other sites, other names and old links can do: nothing.
func isGuarded(t *testing.T, b *browser, n *gridtest.Node, used, base string) {
	t.Helper()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>elsewhere</title>")
	}))
	defer evil.Close()
	// A page of another port is same-site: the browser sends the cookie along.
	b.visit(evil.URL, "title")
	said := js[string](b, fmt.Sprintf(`Promise.all([
		fetch(%[1]q, {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({minutes: "5"})}),
		fetch(%[2]q, {method: "POST", mode: "no-cors", credentials: "include", body: "{}"}),
	]).then(() => fetch(%[3]q, {credentials: "include"})).then(r => r.text(), () => "refused")`,
		base+"/donate/pause", base+"/api/v1/donate/pause", base+"/api/v1/status"))
	if said != "refused" {
		t.Errorf("another site reads %q", said)
	}
	js[chromedp.Void](b, fmt.Sprintf(`(() => {
		const f = document.createElement("form");
		f.method = "post"; f.action = %q; document.body.append(f); f.submit();
	})()`, base+"/donate/pause"))
	b.await("it is refused", `document.body.innerText.includes("another page has sent this")`)
	if got := n.Status().Donating.State; got != api.DonatingOn {
		t.Errorf("after forms from elsewhere the node is %s", got)
	}
	if status, text := get(t, used, ""); status != http.StatusUnauthorized || !strings.Contains(text, "shoal ui") {
		t.Errorf("a used link: status %d, %q", status, text)
	}
	if status, _ := get(t, base+"/", "evil.example"); status != http.StatusForbidden {
		t.Errorf("a wrong host: status %d", status)
	}
	if status, _ := get(t, base+"/api/v1/status", ""); status != http.StatusUnauthorized {
		t.Errorf("no session: status %d", status)
	}
}

func get(t *testing.T, address, host string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(bytes.TrimSpace(text))
}

// recovers kills the node under an open page, which says so, and starts it again, which the page
// sees by itself.
func recovers(t *testing.T, b *browser, n *gridtest.Node, base, job string) {
	t.Helper()
	b.visit(base+"/", ".jobs li")
	js[chromedp.Void](b, `window.sameOne = true`)
	n.Kill()
	b.await("the page says that the node is gone", `!document.querySelector("#lost").hidden`)
	b.shoot("lost")
	n.Restart()
	b.await("the page finds it again", `document.querySelector("#lost").hidden`)
	said := n.Shoal("pause")
	if said.Code != 0 {
		t.Fatalf("pause: %s", said.Err)
	}
	b.await("what happens then is shown", `document.querySelector("#giving strong").textContent === "Paused" && window.sameOne === true`)
	if !strings.Contains(b.text("#jobs"), job[:8]) {
		t.Errorf("the job is not shown any more: %s", b.text("#jobs"))
	}
}
