package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/jobs/submit"
)

// collectorIdle is how long a foreign job goes on being collected when nobody looks.
const collectorIdle = 2 * time.Minute

// resume takes up this home's jobs where an earlier run left them.
func (n *Node) resume() error {
	return n.submitter.All(func(o *submit.Own, j *jobs.Job) error {
		if !o.Open(j, time.Now().Unix()) {
			return nil
		}
		n.board.add(j)
		n.follow(j)
		if !o.Local && !o.Posted {
			n.pokePublisher()
		}
		return nil
	})
}

// follow starts to collect a job, unless it is being collected.
func (n *Node) follow(job *jobs.Job) *collecting {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.collect[job.ID]; c != nil {
		c.used = time.Now()
		return c
	}
	own := job.Head.Submitter == n.self
	cfg := collect.Config{Keepers: n.client, Disk: n.table("results"), Blobs: n.blobs, Logger: n.log}
	if own {
		cfg.Judge = n.judge
		cfg.Manifest = func(shard uint32) (*jobs.Manifest, []jobs.Digest, error) { return n.submitter.Manifest(job, shard) }
	}
	col, err := collect.New(cfg, job)
	if err != nil {
		n.log.Error("what was collected of a job cannot be read", "job", job.ID.Short(), "error", err)
	}
	ctx, cancel := context.WithCancel(n.ctx)
	c := &collecting{Collector: col, cancel: cancel, used: time.Now()}
	n.collect[job.ID] = c
	if own && n.over(job) {
		return c // what was collected is all there is
	}
	n.group.Go(func() {
		if err := col.Run(ctx); err != nil || !own {
			return
		}
		err := n.submitter.Update(context.WithoutCancel(ctx), job.ID, func(o *submit.Own) { o.Ended = time.Now().Unix() })
		if errors.Is(err, submit.ErrNotOwn) {
			return // another machine of this key looks after it
		}
		if err != nil {
			n.log.Warn("the end of a job could not be noted", "job", job.ID.Short(), "error", err)
		}
		n.pokePublisher() // who tells the board
	})
	return c
}

// over reports whether nothing more can come of a job of this home's.
func (n *Node) over(job *jobs.Job) bool {
	o, _, err := n.submitter.Own(job.ID)
	return err == nil && (o.Closed != 0 || o.Ended != 0 || time.Now().Unix() > job.Head.Expires+int64(overFor/time.Second))
}

// overFor is how long after a job's end its keepers still have what was not collected.
const overFor = 3 * 24 * time.Hour

// idleCollectors lets collectors of others' jobs go that nobody has looked at for a while.
func (n *Node) idleCollectors(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, c := range n.collect {
		if c.Job().Head.Submitter != n.self && now.Sub(c.used) > collectorIdle {
			c.cancel()
			delete(n.collect, id)
		}
	}
}

// resolve finds a job by its full id or the beginning of one.
func (n *Node) resolve(ctx context.Context, ref string) (*jobs.Job, error) {
	ref = strings.ToLower(strings.TrimSuffix(ref, "…"))
	known := map[jobs.JobID]*jobs.Job{}
	for _, j := range n.board.all() {
		known[j.ID] = j
	}
	err := n.submitter.All(func(_ *submit.Own, j *jobs.Job) error {
		known[j.ID] = j
		return nil
	})
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	for id, c := range n.collect {
		known[id] = c.Job()
	}
	n.mu.Unlock()
	var found []*jobs.Job
	for id, j := range known {
		if strings.HasPrefix(id.String(), ref) {
			found = append(found, j)
		}
	}
	if len(found) == 0 && ref != "" {
		if found, err = collect.Kept(n.table("results"), n.network, ref); err != nil {
			return nil, err
		}
	}
	switch {
	case ref == "" || len(found) == 0 && len(ref) != jobs.JobIDLen:
		return nil, n.notHere(ref)
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var names []string
		for _, j := range found {
			names = append(names, j.ID.String()[:len(ref)+4])
		}
		slices.Sort(names)
		return nil, &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("job %s is ambiguous: %s", ref, strings.Join(names[:min(len(names), 8)], " ")), Hint: "give more of the id"}
	}
	if job, err := n.lookup(ctx, ref); err == nil {
		return job, nil
	}
	return nil, n.notHere(ref)
}

// notHere is that no job is known by that id, or that this home's job is in another network.
func (n *Node) notHere(ref string) error {
	network, err := n.submitter.Elsewhere(ref)
	switch {
	case err != nil:
		return err
	case ref == "" || network == "":
		return notFound(ref)
	}
	return &api.Error{
		Code: api.CodeNotFound, Message: fmt.Sprintf("job %s is in network %s, and this is network %s", ref, network, n.network),
		Hint: "shoal config set network " + network + "; a node that runs must be started again",
	}
}

func notFound(ref string) error {
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("no job %q is known here", ref), Hint: "list yours with shoal status, or give the full id to ask the grid"}
}

// lookup asks the grid for a job's head by its full id.
func (n *Node) lookup(ctx context.Context, ref string) (*jobs.Job, error) {
	id, err := jobs.ParseJobID(ref)
	if err != nil {
		return nil, notFound(ref)
	}
	n.awaitNetwork(ctx, firstPeers)
	for _, p := range n.net.peers() { // a peer's board is nearer than the DHT
		n.board.copyFrom(ctx, p.ID)
		if j, ok := n.board.get(id); ok {
			return j, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	host, err := n.net.up()
	if err != nil {
		return nil, notFound(ref)
	}
	ctx, cancel := context.WithTimeout(ctx, nearestTime)
	defer cancel()
	raw, err := host.GetHead(ctx, id)
	if err != nil {
		return nil, notFound(ref)
	}
	job, err := jobs.OpenHead(raw, n.network)
	if err != nil || job.ID != id {
		return nil, notFound(ref)
	}
	return job, nil
}

// awaitNetwork waits for a first peer, which a node that has just begun may not have yet.
func (n *Node) awaitNetwork(ctx context.Context, d time.Duration) {
	n.bringUp()
	await(ctx, d, func() bool { return len(n.net.peers()) > 0 })
}

// lookEvery is how often it is looked whether what is waited for has come.
const lookEvery = 50 * time.Millisecond

// await waits until something is so, or for the given time.
func await(ctx context.Context, atMost time.Duration, so func() bool) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	for !so() && ctx.Err() == nil {
		pause(ctx, lookEvery)
	}
}

// Jobs lists this home's jobs, the newest first.
func (n *Node) Jobs(context.Context) ([]api.Job, error) {
	var list []api.Job
	err := n.submitter.All(func(_ *submit.Own, j *jobs.Job) error {
		list = append(list, *n.reading(n.follow(j)))
		return nil
	})
	slices.SortFunc(list, func(a, b api.Job) int { return b.Created.Compare(a.Created) })
	return list, err
}

// firstReading is how long one who asks for a job waits for what its keepers say of it.
const firstReading = 2 * time.Second

// Job reads how far a job is.
func (n *Node) Job(ctx context.Context, ref string) (*api.Job, error) {
	job, err := n.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	c := n.follow(job)
	if n.isRunning() && !c.CaughtUp() { // a first reading is worth a moment
		wait, cancel := context.WithTimeout(ctx, firstReading)
		defer cancel()
		for !c.CaughtUp() && wait.Err() == nil {
			select {
			case <-c.Changed():
			case <-wait.Done():
			}
		}
	}
	return n.reading(c), nil
}

func (n *Node) isRunning() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running
}

// startFor is what a node that is just being started is given.
const startFor = 400 * time.Millisecond

// awaitRunning reports whether the node runs, now or in a moment.
func (n *Node) awaitRunning(ctx context.Context) bool {
	await(ctx, startFor, n.isRunning)
	return n.isRunning()
}

// gatherFor is how long changes are gathered before they are told: many come at once.
const gatherFor = 100 * time.Millisecond

// Watch gives readings until the job is final.
func (n *Node) Watch(ctx context.Context, ref string, f func(*api.Job) error) error {
	job, err := n.resolve(ctx, ref)
	if err != nil {
		return err
	}
	c := n.follow(job)
	var last api.Job
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		changed := c.Changed()
		n.mu.Lock()
		c.used = time.Now()
		n.mu.Unlock()
		r := n.reading(c)
		if !same(r, &last) {
			if err := f(r); err != nil {
				return err
			}
			last = *r
		}
		if r.Final {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			pause(ctx, gatherFor)
		case <-tick.C:
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// same reports whether two readings say the same to a person.
func same(a, b *api.Job) bool {
	x, y := *a, *b
	x.ETASeconds, y.ETASeconds = nil, nil
	x.ETALowSeconds, y.ETALowSeconds, x.ETAHighSeconds, y.ETAHighSeconds = nil, nil, nil, nil
	x.RatePerSecond, y.RatePerSecond = 0, 0
	return x == y
}

// reading is how far a job is, in the words of the API.
func (n *Node) reading(c *collecting) *api.Job {
	job, now := c.Job(), time.Now()
	h := &job.Head
	p := c.Progress(now)
	own, _, ownErr := n.submitter.Own(job.ID)
	r := &api.Job{
		Job: job.ID.String(), Name: h.Name, Program: h.Program.Digest.String(), Submitter: h.Submitter.String(), SubmitterName: n.nameOf(h.Submitter),
		Own: h.Submitter == n.self, Level: h.Policy.Level.String(), Votes: int(h.Policy.Votes),
		Units:    unitsOf(&p.Units),
		Inputs:   api.Inputs{Total: int64(p.Inputs), Done: int64(p.Done), Failed: int64(p.Failed)},
		Arriving: int64(p.Arriving), Donors: p.Donors, Executions: int64(p.Executions), OwnRuns: int64(p.OwnRuns), Provisional: int64(p.Provisional), Fuel: p.Fuel,
		Dissent: int64(p.Seen.Dissent), Rings: int64(p.Seen.Rings), Degraded: p.Degraded,
		Created: time.Unix(h.Created, 0), RatePerSecond: p.Forecast.Rate,
	}
	if p.Forecast.Known {
		r.ETASeconds, r.ETALowSeconds, r.ETAHighSeconds = wholeSeconds(p.Forecast.Likely), wholeSeconds(p.Forecast.Low), wholeSeconds(p.Forecast.High)
	}
	closed := p.Closed
	if ownErr == nil {
		r.Local = own.Never
		r.Held, r.Keepers = int(own.Held), int(own.Wanted)
		closed = own.Closed // what keepers say of it is checked first: heedCancel
	}
	n.mu.Lock()
	held, placed := n.held[job.ID]
	n.mu.Unlock()
	if placed {
		r.Held, r.Keepers = held.Keepers, held.Wanted
	}
	r.State, r.Final = stateOf(r, closed, now.Unix() >= h.Expires)
	if !r.Final {
		r.Waits = n.waits(job, &p, r)
	}
	return r
}

// wholeSeconds is a time in seconds, none of it lost.
func wholeSeconds(d time.Duration) *int64 {
	s := int64((d + time.Second - 1) / time.Second)
	return &s
}

func stateOf(r *api.Job, closed jobs.Act, expired bool) (string, bool) {
	open := r.Units.Open + r.Units.Running + r.Units.Sealed
	if r.Provisional > 0 && closed != jobs.ActCancel && !expired {
		return api.JobOpen, false // any answer may fall yet
	}
	switch {
	case open+r.Units.Disputed == 0 && r.Units.Stuck == 0:
		return api.JobDone, true
	case closed == jobs.ActCancel:
		return api.JobCancelled, true
	case open == 0 && r.Units.Disputed == 0:
		return api.JobFailed, true
	case expired:
		return api.JobExpired, true
	case open == 0:
		return api.JobFailed, false
	}
	return api.JobOpen, false
}
