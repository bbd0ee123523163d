package world

import (
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/scheduler/keeper/client"
	"github.com/shoalgrid/shoal/worker"
)

// Defect is a bug that is planted, one for each invariant, to see that it is found. Only tests do.
type Defect uint8

// The defects.
const (
	Sound        Defect = iota
	OneVote             // a job asks for one vote where two were promised
	OrderMatters        // a record is lost where it comes at a bad place
	AckEarly            // a keeper's disk says "written" before it is
)

// answer is what a keeper with the defect answers.
func (d Defect) answer(p *process, from jobs.NodeID, request, answer []byte) []byte { return answer }

// keepers is how a worker with the defect asks.
func (d Defect) keepers(p *process, c *client.Client) worker.Keepers { return c }
