package main

import (
	"bufio"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/gridtest"
)

var soak = flag.Duration("soak", 0, "how long TestSoak lets donors work, such as 10m")

// sample is what a donor's process uses at a time.
type sample struct {
	at         time.Duration
	units      int64
	own        float64 // bytes of memory that are the process's alone
	mapped     float64 // bytes of memory that are files': the kernel takes them back when it likes
	fds        float64
	goroutines float64
	temp       int     // files in the home's folder for what grows
	kept       float64 // units whose records the keeper has
}

// freePort is one of this machine's that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// scrape reads a node's metrics, by name.
func scrape(addr string) (map[string]float64, error) {
	answer, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	out := map[string]float64{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				out[name] = v
			}
		}
	}
	return out, lines.Err()
}

func filesIn(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error { // what vanishes meanwhile is no file
		if err == nil && !e.IsDir() {
			n++
		}
		return nil
	})
	return n
}

// memoryOf is the memory that a process has for itself, and that of files which it has mapped: the
// records of what is kept rest in one, and it grows with them.
func memoryOf(t *testing.T, pid int) (own, mapped float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("this system does not tell what memory is a process's own: ", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64) // other lines are no numbers
		switch name {
		case "RssAnon":
			own = kib * 1024
		case "RssFile":
			mapped = kib * 1024
		}
	}
	return own, mapped
}

// sampleOf reads what a donor's process uses.
func sampleOf(t *testing.T, d *gridtest.Node, metrics string) sample {
	t.Helper()
	m, err := scrape(metrics)
	if err != nil {
		t.Fatalf("%s does not tell its metrics: %v", d.Name, err)
	}
	s := sample{fds: m["process_open_fds"], goroutines: m["go_goroutines"], temp: filesIn(filepath.Join(d.Home, "tmp"))}
	s.own, s.mapped = memoryOf(t, d.PID())
	for name, n := range m {
		if strings.HasPrefix(name, "shoal_keeper_units{") {
			s.kept += n
		}
	}
	if status := d.Status(); status != nil {
		s.units = status.Today.Units
	}
	return s
}

// TestSoak has two donors work for as long as -soak says, one job after the other, prints what their
// processes use over time, and fails where that grows: make soak.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("-soak says how long; make soak")
	}
	g := gridtest.New(t, gridtest.Build(t))
	first := g.Found("first", "up", "--name", "soak")
	var donors []*gridtest.Node
	var metrics []string
	for i := range 2 {
		addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		donors = append(donors, g.Start(fmt.Sprintf("donor-%d", i+1), "donate", "--cores", "1", "--metrics", addr))
		metrics = append(metrics, addr)
	}
	g.Meet(2, append(donors, first)...)
	program := writeBurner(t, burn/64)
	samples := make([][]sample, len(donors))
	t.Log("     time  donor   units  memory MiB  mapped MiB   fds  goroutines  temporary files   kept")
	begun, job, jobs := time.Now(), "", 0
	next := *soak / 60
	tick := time.NewTicker(min(next, time.Second))
	defer tick.Stop()
	for time.Since(begun) < *soak {
		if j := first.Job(job); job == "" || j != nil && j.Final {
			job, _ = first.Submit(program, "--range", "1..1000", "--per-unit", "4", "--new")
			jobs++
		}
		<-tick.C
		if time.Since(begun) < next {
			continue
		}
		next += *soak / 60
		for i, d := range donors {
			s := sampleOf(t, d, metrics[i])
			s.at = time.Since(begun)
			samples[i] = append(samples[i], s)
			t.Logf("%9s  %5d  %6d  %10.1f  %10.1f  %4.0f  %10.0f  %15d  %5.0f", s.at.Round(time.Second), i+1, s.units, s.own/(1<<20), s.mapped/(1<<20), s.fds, s.goroutines, s.temp, s.kept)
		}
	}
	for i, d := range donors {
		all := samples[i]
		if last := all[len(all)-1]; last.units == 0 || last.own == 0 || last.goroutines == 0 {
			t.Errorf("%s: nothing was measured: %+v", d.Name, last)
		}
		flat(t, d.Name+": memory of its own", all, 1.1, 4<<20, func(s sample) float64 { return s.own })
		flat(t, d.Name+": files open", all, 1, 4, func(s sample) float64 { return s.fds })
		flat(t, d.Name+": goroutines", all, 1, 20, func(s sample) float64 { return s.goroutines })
		flat(t, d.Name+": temporary files", all, 1, 4, func(s sample) float64 { return float64(s.temp) })
	}
	t.Logf("%d jobs", jobs)
}

// flat compares the median of the last third with that of the second: the first is for warming up.
func flat(t *testing.T, what string, all []sample, factor, slack float64, of func(sample) float64) {
	t.Helper()
	third := len(all) / 3
	middle, end := medianOf(all[third:2*third], of), medianOf(all[2*third:], of)
	t.Logf("%s: %.0f, then %.0f", what, middle, end)
	if end > middle*factor+slack {
		t.Errorf("%s grows: %.0f, then %.0f", what, middle, end)
	}
}

func medianOf(all []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
