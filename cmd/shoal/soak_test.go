package main

import (
	"bufio"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
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
	memory     float64 // bytes
	fds        float64
	goroutines float64
	temp       int     // files in the home's folder for what grows
	kept       float64 // units whose records the keeper has in memory
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
	t.Log("     time  donor   units  memory MiB   fds  goroutines  temporary files  kept")
	begun, job, jobs := time.Now(), "", 0
	tick := time.NewTicker(*soak / 60)
	defer tick.Stop()
	for time.Since(begun) < *soak {
		if j := first.Job(job); job == "" || j != nil && j.Final {
			job, _ = first.Submit(program, "--range", "1..1000", "--per-unit", "4", "--new")
			jobs++
		}
		<-tick.C
		for i, d := range donors {
			m, err := scrape(metrics[i])
			if err != nil {
				t.Fatalf("%s does not tell its metrics: %v", d.Name, err)
			}
			s := sample{
				at: time.Since(begun), memory: m["process_resident_memory_bytes"], fds: m["process_open_fds"], goroutines: m["go_goroutines"],
				temp: filesIn(filepath.Join(d.Home, "tmp")),
			}
			for name, n := range m {
				if strings.HasPrefix(name, "shoal_keeper_units{") {
					s.kept += n
				}
			}
			if status := d.Status(); status != nil {
				s.units = status.Today.Units
			}
			samples[i] = append(samples[i], s)
			t.Logf("%8s  %d  %9d  %10.1f  %4.0f  %10.0f  %15d  %4.0f", s.at.Round(time.Second), i+1, s.units, s.memory/(1<<20), s.fds, s.goroutines, s.temp, s.kept)
		}
	}
	for i, d := range donors {
		all := samples[i]
		if last := all[len(all)-1]; last.units == 0 || last.memory == 0 || last.goroutines == 0 {
			t.Errorf("%s: nothing was measured: %+v", d.Name, last)
		}
		flat(t, d.Name+": memory", all, 1.25, 16<<20, func(s sample) float64 { return s.memory })
		flat(t, d.Name+": files open", all, 1.2, 10, func(s sample) float64 { return s.fds })
		flat(t, d.Name+": goroutines", all, 1.2, 20, func(s sample) float64 { return s.goroutines })
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
