package node

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/metrics"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/protocol"
	"github.com/shoalgrid/shoal/wasm"
)

// counts is what went through this node since it started, by names of which there are few.
type counts struct {
	mu                    sync.Mutex
	runs, kills, requests metrics.Counts
	fuel                  uint64
	cpu                   time.Duration
}

func (c *counts) add(to *metrics.Counts, name string) {
	if *to == nil {
		*to = metrics.Counts{}
	}
	(*to)[name]++
}

// ran counts the run of an input; stopped is whether it was ended from outside.
func (c *counts) ran(r wasm.Report, err error, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && stopped:
		c.add(&c.kills, metrics.CauseStopped)
		return
	case err != nil:
		c.add(&c.kills, metrics.CauseCrashed)
		return
	case r.Outcome == jobs.GaveUp:
		c.add(&c.kills, metrics.CauseGaveUp)
	}
	c.add(&c.runs, r.Outcome.String())
	c.fuel += r.Fuel
	c.cpu += r.CPU
}

// asked counts a request of a peer.
func (c *counts) asked(v protocol.Verb) {
	name := v.String()
	if !v.Known() {
		name = "other"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(&c.requests, name)
}

// Metrics answers Prometheus.
func (n *Node) Metrics() http.Handler { return n.metrics.Handler() }

// measure reads what Prometheus is told.
func (n *Node) measure() metrics.Reading {
	r := metrics.Reading{Jobs: metrics.Counts{}, Units: metrics.Counts{}, Inputs: metrics.Counts{}, Kept: metrics.Counts{}}
	if list, err := n.Jobs(n.ctx); err == nil {
		for i := range list {
			measureJob(&r, &list[i])
		}
	}
	w := n.worker.Stats()
	working, _ := n.worker.Working()
	for _, j := range working {
		r.Held += j.Units
	}
	r.Slots, r.Done, r.Accepted, r.Partners = n.worker.Slots(), uint64(w.Units), uint64(w.Done), w.Waiting
	r.Donating = n.donateStatus().State
	k := n.keeper.Counts()
	r.Shards, r.Records, r.Repairs = k.Shards, k.Records, k.Repairs
	for state, units := range k.Units {
		r.Kept[state.String()] += units
	}
	u := n.blobs.Usage()
	r.Blobs, r.Reserved, r.Quota, r.Sent, r.Received = u.Blobs, u.Reserved, u.Quota, n.sent.Load(), n.blobs.received.Load()
	r.Peers = len(n.net.peers())
	r.Donors, _ = n.net.donors()
	if host, err := n.net.up(); err == nil {
		r.Reachable = host.Server()
	}
	c := &n.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Runs, r.Kills, r.Requests, r.Fuel, r.CPU = maps.Clone(c.runs), maps.Clone(c.kills), maps.Clone(c.requests), c.fuel, c.cpu
	return r
}

// measureJob adds one of the node's own jobs.
func measureJob(r *metrics.Reading, j *api.Job) {
	r.Jobs[j.State]++
	for state, n := range map[string]int64{
		"open": j.Units.Open, "running": j.Units.Running, "sealed": j.Units.Sealed, "agreed": j.Units.Agreed,
		"failed": j.Units.Failed, "stuck": j.Units.Stuck, "disputed": j.Units.Disputed,
	} {
		r.Units[state] += uint64(n)
	}
	r.Inputs["answered"] += uint64(j.Inputs.Done - j.Inputs.Failed)
	r.Inputs["failed"] += uint64(j.Inputs.Failed)
	r.Inputs["open"] += uint64(j.Inputs.Total - j.Inputs.Done)
	r.Executions += uint64(j.Executions)
	r.Rate += j.RatePerSecond
	if j.Waits != "" {
		r.Waiting++
	}
}
