package api

import (
	"encoding/json"
	"time"
)

// The schemas of documents that scripts may rely on. Fields are added, never changed. Each
// document writes its own when it is encoded, so that none is without.
const (
	StatusSchema      = "shoal.status/1"
	IDSchema          = "shoal.id/1"
	PeerSchema        = "shoal.peer/1"
	SubmittedSchema   = "shoal.submitted/1"
	SubmittingSchema  = "shoal.submitting/1"
	JobSchema         = "shoal.job/1"
	DetailSchema      = "shoal.detail/1"
	ExplanationSchema = "shoal.explanation/1"
	CreditSchema      = "shoal.credit/1"
	WhoseSchema       = "shoal.whose/1"
	NoticeSchema      = "shoal.notice/1"
	SettingSchema     = "shoal.setting/1"
	PageSchema        = "shoal.page/1"
)

// Status is a node at a glance.
type Status struct {
	Schema   string       `json:"schema"` // StatusSchema
	Node     NodeStatus   `json:"node"`
	Grid     GridStatus   `json:"grid"`
	Donating DonateStatus `json:"donating"`
	Today    Today        `json:"today"`
	Working  []Work       `json:"working"`
	Jobs     []Job        `json:"jobs"` // the node's own, the newest first

	Offered []Offered `json:"offered"` // others' jobs that the node knows of, the newest first
	Notices []Notice  `json:"notices"` // the newest few of others for this node's owner
}

// NodeStatus is the process itself.
type NodeStatus struct {
	Peer          string `json:"peer"`
	Version       string `json:"version"`
	UptimeSeconds int64  `json:"uptime_seconds"`
	Engine        string `json:"engine"` // "compiler", or "interpreter" where the system allows no other
}

// GridStatus is what the node sees of the others.
type GridStatus struct {
	Peers     int      `json:"peers"`
	Reachable bool     `json:"reachable"` // others can dial this node
	Addrs     []string `json:"addrs"`

	// ClockSkewSeconds is how far this machine's clock is ahead of its peers', null before
	// one of them has told its own.
	ClockSkewSeconds *float64 `json:"clock_skew_seconds"`
}

// The states of donating.
const (
	DonatingOn        = "on"
	DonatingPaused    = "paused"
	DonatingFinishing = "finishing"
	DonatingOff       = "off"
)

// DonateStatus is what the node lends, and why nothing happens when nothing does.
type DonateStatus struct {
	State      string     `json:"state"`
	Why        string     `json:"why"`     // a clause for people, "" when it is working
	Reasons    []string   `json:"reasons"` // all there are not to work, the weightiest first, which Why is
	Notes      []string   `json:"notes"`   // why less is lent than could be, and what the machine does not tell
	Cores      int        `json:"cores"`
	TotalCores int        `json:"total_cores"`
	Memory     uint64     `json:"memory"`
	Disk       uint64     `json:"disk"`
	Until      *time.Time `json:"until"` // end of a pause; null: none set
}

// Today is what the node has given to others since midnight (UTC), over restarts too. Units count
// when it is seen what became of them.
type Today struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	Submitters int     `json:"submitters"`
	Units      int64   `json:"units"`
	Accepted   int64   `json:"accepted"`
	Waiting    int64   `json:"waiting"` // for another donor's word
}

// Work is a job of which units run here now, or are about to.
type Work struct {
	Job           string `json:"job"`
	Name          string `json:"name"`
	Description   string `json:"description"`
	Submitter     string `json:"submitter"`
	SubmitterName string `json:"submitter_name"` // what it calls itself
	Units         int    `json:"units"`
}

// ID is a node's name and the addresses that --bootstrap takes.
type ID struct {
	Schema string   `json:"schema"` // IDSchema
	Peer   string   `json:"peer"`
	Addrs  []string `json:"addrs"`
}

// The roles of a Peer.
const (
	RoleDonor  = "donor"
	RoleKeeper = "keeper"
)

// Peer is another node this one is connected with.
type Peer struct {
	Schema    string   `json:"schema"` // PeerSchema
	Peer      string   `json:"peer"`
	Name      string   `json:"name"` // what it calls itself
	Addr      string   `json:"addr"`
	Roles     []string `json:"roles"`
	LatencyMS float64  `json:"latency_ms"`
	Agent     string   `json:"agent"`
}

// Submission is a job as the command line asks for it. The zero value of a limit means its
// default. Exactly one of Files, Lines and Range gives the inputs.
type Submission struct {
	Program string `json:"program"` // absolute path
	Name    string `json:"name,omitempty"`

	Description string `json:"description,omitempty"` // what it is for, for donors

	Args  []string  `json:"args,omitempty"`
	Files []File    `json:"files,omitempty"`
	Lines bool      `json:"lines,omitempty"`
	Range *[2]int64 `json:"range,omitempty"` // first and last
	Data  []File    `json:"data,omitempty"`  // the same for every input

	Memory  uint64        `json:"memory,omitempty"`
	Output  uint64        `json:"output,omitempty"`
	Fuel    uint64        `json:"fuel,omitempty"`
	Time    time.Duration `json:"time_ns,omitempty"` // CPU an input
	Seed    uint64        `json:"seed,omitempty"`
	NaN     string        `json:"nan,omitempty"` // NaNLazy (default) or NaNEager
	Expires time.Duration `json:"expires_ns,omitempty"`

	Level   string        `json:"level,omitempty"`
	Trust   []string      `json:"trust,omitempty"`
	PerUnit int           `json:"per_unit,omitempty"`
	Lease   time.Duration `json:"lease_ns,omitempty"`

	New           bool `json:"new,omitempty"`             // another job even where the same one is known
	Local         bool `json:"local,omitempty"`           // never leaves this machine
	WaitForDonors bool `json:"wait_for_donors,omitempty"` // submit also what the donors in sight are not enough for
	DryRun        bool `json:"dry_run,omitempty"`         // say what would be submitted
	Alone         bool `json:"alone,omitempty"`           // start here at once; Offer may follow

	Tag string `json:"tag,omitempty"` // by which Submitting tells of it; "": it does not
}

// How faithfully a program's NaNs keep their payloads; either way they are the same on every
// machine.
const (
	NaNLazy  = "lazy"
	NaNEager = "eager" // as the specification of WebAssembly has it; float-heavy programs run slower
)

// File is a file of the submitter and what it is called in the job: the relative path of an
// input, the plain name of data.
type File struct {
	Path string `json:"path"` // absolute
	Name string `json:"name"`
}

// Submitted is how a submission went.
type Submitted struct {
	Schema     string `json:"schema"` // SubmittedSchema
	Job        string `json:"job"`    // full id; "" after a dry run
	Attached   bool   `json:"attached"`
	Inputs     int64  `json:"inputs"`
	Units      int64  `json:"units"`
	Votes      int    `json:"votes"`
	Held       int    `json:"held"`   // keepers that hold it, the fewest of any shard
	Wanted     int    `json:"wanted"` // keepers that should
	Safe       bool   `json:"safe"`   // it goes on without this machine
	DonorsSeen int    `json:"donors_seen"`
	Message    string `json:"message"` // a sentence for people on what it waits for; often ""
	// Levels are what each level of checking costs in the grid as it is seen from here.
	Levels []Level `json:"levels,omitempty"`
}

// Level is what a level of checking costs for a job, as far as this node knows the donors in
// sight, and as its own record of them has it.
type Level struct {
	Level      string  `json:"level"`
	Chosen     bool    `json:"chosen"`     // it is the job's
	Executions float64 `json:"executions"` // for an answer, when nobody lies; the submitter's own among them
	OwnShare   float64 `json:"own_share"`  // of units that the submitter has to run itself
	Possible   bool    `json:"possible"`   // those in sight are enough
	Missing    string  `json:"missing"`    // what they are short of, for people; "" where it is possible
	Donors     int     `json:"donors"`     // in sight; at trusted those that are named
	Proven     int     `json:"proven"`     // of them, with standing from this submitter's earlier jobs
	Networks   int     `json:"networks"`   // that they are in, private ones not counted
	ByLot      bool    `json:"by_lot"`     // they are enough for work to be given by lot
	// Of a submitter that leaves after publishing: what an answer costs until it is back, and
	// whether it is final then.
	AwayExecutions float64 `json:"away_executions"`
	AwayFinal      bool    `json:"away_final"`
}

// The states of a Job.
const (
	JobOpen      = "open"
	JobDone      = "done"   // every input agreed, or failed for certain
	JobFailed    = "failed" // nothing open, some input stuck or disputed
	JobCancelled = "cancelled"
	JobExpired   = "expired"
)

// Job is one reading of how far a job is.
type Job struct {
	Schema        string `json:"schema"` // JobSchema
	Job           string `json:"job"`
	Name          string `json:"name"`
	Program       string `json:"program"` // digest
	Submitter     string `json:"submitter"`
	SubmitterName string `json:"submitter_name"` // what it calls itself
	Own           bool   `json:"own"`            // submitted from this node
	Local         bool   `json:"local"`          // never leaves this machine
	State         string `json:"state"`
	Final         bool   `json:"final"` // nothing in this reading will change again
	Level         string `json:"level"`
	Votes         int    `json:"votes"`
	Units         Units  `json:"units"`
	Inputs        Inputs `json:"inputs"`
	// Arriving is how many of the sealed units are decided, by their keepers' word: their answers
	// are on their way here.
	Arriving      int64     `json:"arriving"`
	Donors        int       `json:"donors"`
	Executions    int64     `json:"executions"`
	OwnRuns       int64     `json:"own_runs,omitempty"`    // units that the submitter ran itself
	Provisional   int64     `json:"provisional,omitempty"` // units whose answers stand for now, and are not final
	Dissent       int64     `json:"dissent,omitempty"`     // wrong answers of donors with standing, each alone with it
	Rings         int64     `json:"rings,omitempty"`       // units about which donors were proved to have lied together
	Degraded      bool      `json:"degraded,omitempty"`    // so many that what is left of the job's extra votes looks at known liars only
	Fuel          uint64    `json:"fuel"`
	Held          int       `json:"held"`
	Keepers       int       `json:"keepers"`
	Waits         string    `json:"waits"` // "needs 1 more donor, 1 known"; "" when nothing is in the way
	Created       time.Time `json:"created"`
	RatePerSecond float64   `json:"rate_per_second"` // inputs; 0 before there is evidence
	ETASeconds    *int64    `json:"eta_seconds"`     // null before there is evidence
	// The range in which the end may come: nine times in ten. Null before there is evidence.
	ETALowSeconds  *int64 `json:"eta_low_seconds"`
	ETAHighSeconds *int64 `json:"eta_high_seconds"`
}

// Units counts a job's units by state.
type Units struct {
	Total    int64 `json:"total"`
	Open     int64 `json:"open"`
	Running  int64 `json:"running"`
	Sealed   int64 `json:"sealed"`
	Agreed   int64 `json:"agreed"`
	Failed   int64 `json:"failed"`
	Stuck    int64 `json:"stuck"`
	Disputed int64 `json:"disputed"`
}

// Inputs counts a job's inputs. Those that failed are among those that are done.
type Inputs struct {
	Total  int64 `json:"total"`
	Done   int64 `json:"done"`
	Failed int64 `json:"failed"`
}

// The outcomes of a Result that are not the name of a jobs.Outcome.
const (
	OutcomeStuck    = "stuck"    // three donors gave up
	OutcomeDisputed = "disputed" // no answer has the votes
)

// OutcomeOK is the outcome of a Result that has an output.
const OutcomeOK = "ok"

// Result is what is known of one input. Its output, Size bytes, comes with it.
type Result struct {
	N       int64  `json:"n"`              // place in the job, from 1
	Name    string `json:"name,omitempty"` // an input file's relative path, a range's number; "" for a line
	Outcome string `json:"outcome"`
	Exit    uint32 `json:"exit"`
	Size    int64  `json:"size"`
	IsPath  bool   `json:"is_path,omitempty"` // Name is a path: the output's own, where outputs become files
	Stderr  string `json:"stderr,omitempty"`  // the end of it
	Reason  string `json:"reason,omitempty"`  // of a failure, for people
	ToldBy  string `json:"told_by,omitempty"` // the peer whose words Stderr and Reason are
	// Provisional says that the answer stands for now; at its level only the submitter makes it final.
	Provisional bool `json:"provisional,omitempty"`
}

// Donation is what a node may use for others: settings by the names that "shoal config" knows.
// Those that are not named stay as they are.
type Donation struct {
	Settings map[string]string `json:"settings,omitempty"`
	// Bootstrap are addresses of nodes to join by.
	Bootstrap []string `json:"bootstrap,omitempty"`
	// AllowWeakSandbox lends also where an essential lock that holds strangers' programs is
	// missing.
	AllowWeakSandbox bool `json:"allow_weak_sandbox,omitempty"`
}

// MarshalJSON names the schema, and writes empty lists as [], which scripts can walk.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status
	s.Schema = StatusSchema
	s.Grid.Addrs, s.Working, s.Jobs = orEmpty(s.Grid.Addrs), orEmpty(s.Working), orEmpty(s.Jobs)
	s.Offered, s.Notices = orEmpty(s.Offered), orEmpty(s.Notices)
	s.Donating.Reasons, s.Donating.Notes = orEmpty(s.Donating.Reasons), orEmpty(s.Donating.Notes)
	return json.Marshal(plain(s))
}

// MarshalJSON is as that of Status.
func (i ID) MarshalJSON() ([]byte, error) {
	type plain ID
	i.Schema, i.Addrs = IDSchema, orEmpty(i.Addrs)
	return json.Marshal(plain(i))
}

// MarshalJSON is as that of Status.
func (p Peer) MarshalJSON() ([]byte, error) {
	type plain Peer
	p.Schema, p.Roles = PeerSchema, orEmpty(p.Roles)
	return json.Marshal(plain(p))
}

// MarshalJSON names the schema.
func (s Submitted) MarshalJSON() ([]byte, error) {
	type plain Submitted
	s.Schema = SubmittedSchema
	return json.Marshal(plain(s))
}

// MarshalJSON names the schema.
func (j Job) MarshalJSON() ([]byte, error) {
	type plain Job
	j.Schema = JobSchema
	return json.Marshal(plain(j))
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// pauseRequest is the body of a pause.
type pauseRequest struct {
	For time.Duration `json:"for_ns"`
}
