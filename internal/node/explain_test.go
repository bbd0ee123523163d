package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/collect"
	"github.com/shoalgrid/shoal/scheduler/protocol"
)

func open(units api.Units) *api.Job {
	return &api.Job{Job: "b5f3k2qaabcdefghij", State: api.JobOpen, Own: true, Votes: 2, Held: 2, Keepers: 2, Units: units, Inputs: api.Inputs{Total: 10}}
}

func around(hs ...protocol.HelloAnswer) map[jobs.NodeID]protocol.HelloAnswer {
	all := map[jobs.NodeID]protocol.HelloAnswer{}
	for i, h := range hs {
		all[jobs.NodeID{byte(i + 1)}] = h
	}
	return all
}

// TestReasons walks through what may stand in a job's way, and holds each to the words that a
// person reads of it first.
func TestReasons(t *testing.T) {
	donor := protocol.HelloAnswer{Donating: true, Lends: true, Memory: 4 << 30}
	paused := protocol.HelloAnswer{Lends: true}
	for name, test := range map[string]struct {
		change func(s *scene)
		code   string
		what   string
	}{
		"all is well":         {func(s *scene) {}, api.WhyWorking, "nothing is in its way: 2 units running, 3 done, 5 still to begin"},
		"to begin":            {func(s *scene) { s.job = open(api.Units{Total: 9, Open: 9}) }, api.WhyWorking, "9 units to begin"},
		"no node":             {func(s *scene) { s.running, s.peers, s.others = false, 0, nil }, api.WhyNoNode, "no node runs here"},
		"alone":               {func(s *scene) { s.peers, s.others = 0, nil }, api.WhyNoPeers, "needs 2 more donors, 0 known: no other node in sight"},
		"no donors":           {func(s *scene) { s.others = around(protocol.HelloAnswer{}) }, api.WhyNoDonors, "needs 2 more donors, 0 known"},
		"one donor":           {func(s *scene) { s.others = around(donor) }, api.WhyNoDonors, "needs 1 more donor, 1 known"},
		"of a stranger's job": {func(s *scene) { s.others, s.lends, s.job.Own = around(donor), true, false }, api.WhyWorking, "nothing"},
		"donors paused":       {func(s *scene) { s.others = around(donor, paused) }, api.WhyPaused, "needs 2 donors; 2 donors known, 1 of them paused"},
		"paused here": {func(s *scene) {
			s.others, s.lends, s.paused, s.job.Own = around(donor), true, "on battery", false
			s.job.Votes = 3
		}, api.WhyPaused, "donating here is paused: on battery"},
		"untrusted":         {func(s *scene) { s.trust = []jobs.NodeID{{9}} }, api.WhyUntrusted, "needs a donor that it trusts, none is seen"},
		"trusted is paused": {func(s *scene) { s.trust, s.others = []jobs.NodeID{{1}}, around(paused, donor) }, api.WhyPaused, "the donors that it trusts are paused"},
		"trusted works":     {func(s *scene) { s.trust = []jobs.NodeID{{1}} }, api.WhyWorking, "nothing"},
		"trusted is this node": {func(s *scene) {
			s.self, s.trust, s.job.Own, s.lends, s.others = jobs.NodeID{9}, []jobs.NodeID{{9}}, false, true, nil
		}, api.WhyWorking, "nothing"},
		"memory": {func(s *scene) { s.memory = 8 << 30 }, api.WhyMemory, "asks for 8GiB of memory, the donors in sight lend 4GiB at most"},
		"memory not said": {func(s *scene) {
			s.memory, s.others = 8<<30, around(protocol.HelloAnswer{Donating: true}, protocol.HelloAnswer{Donating: true})
		}, api.WhyWorking, "nothing"},
		"not placed":           {func(s *scene) { s.posted, s.job.Held, s.placing = false, 0, "B: full" }, api.WhyNotPublished, "no other node holds it yet: B: full"},
		"copying":              {func(s *scene) { s.job.Held, s.job.Keepers = 2, 5 }, api.WhyCopying, "held by 2 of 5, still copying"},
		"keepers gone":         {func(s *scene) { s.reading = errors.New("no answer") }, api.WhyKeepers, "its keepers cannot be asked: no answer"},
		"bytes gone":           {func(s *scene) { s.reading = fmt.Errorf("unit 3: %w", collect.ErrNoBytes) }, api.WhyData, "nobody in sight has their bytes"},
		"local, idle":          {func(s *scene) { s.job.Local = true }, api.WhyLocal, "it may not leave this machine, and nobody works on it here"},
		"local, paused":        {func(s *scene) { s.job.Local, s.paused = true, "computer in use" }, api.WhyPaused, "where donating is paused: computer in use"},
		"crashing here":        {func(s *scene) { s.here, s.aside = true, "its program could not be run here: x" }, api.WhyAside, "set aside on this machine: its program could not be run here: x"},
		"begun here, unposted": {func(s *scene) { s.here, s.posted, s.peers = true, false, 0 }, api.WhyWorking, "nothing"},
		"one job too many":     {func(s *scene) { s.before = 16 }, api.WhyTurn, "16 jobs of yours are open already: donors take up 16 of one submitter at a time"},
		"disputed":             {func(s *scene) { s.job.Units.Disputed = 1 }, api.WhyDisputed, "1 unit disputed: donors do not agree"},
		"partner":              {func(s *scene) { s.job = open(api.Units{Total: 9, Agreed: 7, Sealed: 2}) }, api.WhyPartner, "2 units waiting for another donor's word"},
		"not final":            {func(s *scene) { s.job = open(api.Units{Total: 9, Agreed: 9}); s.job.Provisional = 9 }, api.WhyAudit, "9 units agreed, not final until this node"},
		"done":                 {func(s *scene) { s.job.State, s.running = api.JobDone, false }, api.WhyDone, "it is done"},
		"done with failures":   {func(s *scene) { s.job.State, s.job.Inputs.Failed = api.JobDone, 3 }, api.WhyDone, "3 of 10 inputs failed"},
		"cancelled":            {func(s *scene) { s.job.State = api.JobCancelled }, api.WhyCancelled, "cancelled"},
		"expired":              {func(s *scene) { s.job.State = api.JobExpired }, api.WhyExpired, "expired"},
		"done, degraded":       {func(s *scene) { s.job.State, s.job.Degraded, s.job.Rings = api.JobDone, true, 2 }, api.WhyDone, "it is done"},
		"stuck":                {func(s *scene) { s.job.State, s.job.Units.Stuck = api.JobFailed, 2 }, api.WhyStuck, "donors gave up on 2 units"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{
				job: open(api.Units{Total: 10, Agreed: 3, Running: 2, Open: 5}), memory: 256 << 20, running: true, posted: true,
				peers: 2, others: around(donor, donor),
			}
			test.change(s)
			all := s.reasons()
			if r := all[0]; r.Code != test.code || !strings.Contains(r.What, test.what) {
				t.Errorf("%+v", all)
			}
			if last := all[len(all)-1]; s.job.Degraded != (last.Code == api.WhyDegraded) {
				t.Errorf("degraded is %v, and the last reason is %+v", s.job.Degraded, last)
			}
			for _, r := range all {
				if r.Try == "" || r.Code == "" {
					t.Errorf("nothing to try: %+v", r)
				}
			}
		})
	}
}
