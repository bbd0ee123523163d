package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counts is how many there are, by the value of a label.
type Counts = map[string]uint64

// Reading is what a node tells of itself at one moment. What only grows counts from its start.
type Reading struct {
	Jobs       Counts  // its own, by state
	Units      Counts  // of its own jobs, by state
	Inputs     Counts  // of its own jobs, by result: answered, failed, open
	Executions uint64  // that its own jobs' accepted answers took
	Rate       float64 // inputs a second that its own jobs are done at, lately
	Waiting    int     // its own jobs that something is in the way of

	Held     int // replicas that it holds a lease on, for others and itself
	Slots    int
	Done     uint64 // units run and reported
	Accepted uint64 // of them, seen decided
	Partners int    // of them, waiting for another's word
	Runs     Counts // inputs run in the sandbox, by outcome
	Kills    Counts // guests killed, by cause
	Fuel     uint64 // instructions executed
	CPU      time.Duration
	Donating string // the state that donating is in

	Shards   int    // kept for jobs
	Kept     Counts // units of shards in memory, by state
	Records  uint64 // taken in and stored
	Repairs  uint64 // of keeper sets
	Requests Counts // of peers, by verb

	Blobs, Reserved, Quota uint64 // bytes
	Sent, Received         uint64 // bytes of blobs above 64 KiB

	Peers, Donors int
	Reachable     bool
}

// Why guests were killed, or died.
const (
	CauseGaveUp  = "limit"   // of this host's time or memory
	CauseStopped = "stopped" // the unit was given back, lost or the node ended
	CauseCrashed = "crashed" // the child was gone
)

// metric is one metric: a value, or one for each value of a label.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	one        func(*Reading) float64

	label  string
	values []string
	many   func(*Reading) map[string]float64
}

func gauge(name, help string, f func(*Reading) float64) metric {
	return metric{name: name, help: help, kind: prometheus.GaugeValue, one: f}
}

func counter(name, help string, f func(*Reading) float64) metric {
	return metric{name: name, help: help, kind: prometheus.CounterValue, one: f}
}

// by is a metric with a label.
func by(kind prometheus.ValueType, name, help, label string, values []string, counts func(*Reading) Counts) metric {
	return metric{name: name, help: help, kind: kind, label: label, values: values, many: func(r *Reading) map[string]float64 {
		out := map[string]float64{}
		for value, n := range counts(r) {
			out[value] = float64(n)
		}
		return out
	}}
}

// table is every metric of a node's own.
func table() []metric {
	const count, level = prometheus.CounterValue, prometheus.GaugeValue
	// All the values that labels have: what else a reading counts makes no series.
	jobStates := []string{"open", "done", "failed", "cancelled", "expired"}
	unitStates := []string{"open", "running", "sealed", "agreed", "failed", "stuck", "disputed"}
	inputResults := []string{"answered", "failed", "open"}
	outcomes := []string{"ok", "exit", "trap", "fuel", "memory", "output", "stack", "gave up"}
	killCauses := []string{CauseGaveUp, CauseStopped, CauseCrashed}
	donateStates := []string{"on", "paused", "finishing", "off"}
	verbs := []string{"publish", "claim", "renew", "offer", "watch", "read", "summary", "manifest", "sync", "board", "hello", "notices", "holders", "blob", "other"}
	return []metric{
		by(level, "shoal_jobs", "This node's own jobs.", "state", jobStates, func(r *Reading) Counts { return r.Jobs }),
		by(level, "shoal_job_units", "Units of this node's own jobs: their verdicts, as accepted here or told by keepers.", "state", unitStates, func(r *Reading) Counts { return r.Units }),
		by(level, "shoal_job_inputs", "Inputs of this node's own jobs.", "result", inputResults, func(r *Reading) Counts { return r.Inputs }),
		gauge("shoal_job_executions", "Executions behind the accepted units of this node's own jobs.", func(r *Reading) float64 { return float64(r.Executions) }),
		gauge("shoal_job_inputs_per_second", "Inputs a second that this node's own jobs are done at, as their readings say.", func(r *Reading) float64 { return r.Rate }),
		gauge("shoal_jobs_waiting", "This node's own jobs that something is in the way of: shoal explain says what.", func(r *Reading) float64 { return float64(r.Waiting) }),

		gauge("shoal_worker_leases", "Replicas that this node holds.", func(r *Reading) float64 { return float64(r.Held) }),
		gauge("shoal_worker_slots", "Guests that may run at a time.", func(r *Reading) float64 { return float64(r.Slots) }),
		counter("shoal_worker_units_total", "Units run and reported.", func(r *Reading) float64 { return float64(r.Done) }),
		counter("shoal_worker_units_decided_total", "Units run here that were seen decided.", func(r *Reading) float64 { return float64(r.Accepted) }),
		gauge("shoal_worker_units_waiting", "Units run here that wait for another donor's word.", func(r *Reading) float64 { return float64(r.Partners) }),
		counter("shoal_worker_fuel_total", "Instructions that guests executed.", func(r *Reading) float64 { return float64(r.Fuel) }),
		counter("shoal_worker_cpu_seconds_total", "CPU time of guests.", func(r *Reading) float64 { return r.CPU.Seconds() }),
		by(level, "shoal_donating", "1 for the state that donating is in.", "state", donateStates, func(r *Reading) Counts { return Counts{r.Donating: 1} }),

		by(count, "shoal_sandbox_runs_total", "Inputs run in the sandbox.", "outcome", outcomes, func(r *Reading) Counts { return r.Runs }),
		by(count, "shoal_sandbox_kills_total", "Guests that were killed, or died.", "cause", killCauses, func(r *Reading) Counts { return r.Kills }),

		gauge("shoal_keeper_shards", "Shards kept here.", func(r *Reading) float64 { return float64(r.Shards) }),
		by(level, "shoal_keeper_units", "Units of the shards kept here that are in memory: running ones are leased.", "state", unitStates, func(r *Reading) Counts { return r.Kept }),
		counter("shoal_keeper_records_total", "Records taken in and stored.", func(r *Reading) float64 { return float64(r.Records) }),
		counter("shoal_keeper_repairs_total", "Repairs of a shard's set of keepers.", func(r *Reading) float64 { return float64(r.Repairs) }),
		by(count, "shoal_keeper_requests_total", "Requests of peers.", "verb", verbs, func(r *Reading) Counts { return r.Requests }),

		gauge("shoal_blob_bytes", "Bytes of blobs on disk.", func(r *Reading) float64 { return float64(r.Blobs) }),
		gauge("shoal_blob_reserved_bytes", "Bytes reserved for blobs that are on their way.", func(r *Reading) float64 { return float64(r.Reserved) }),
		gauge("shoal_blob_quota_bytes", "Bytes of disk that blobs may take.", func(r *Reading) float64 { return float64(r.Quota) }),
		counter("shoal_blob_sent_bytes_total", "Bytes of large blobs sent to peers.", func(r *Reading) float64 { return float64(r.Sent) }),
		counter("shoal_blob_received_bytes_total", "Bytes of large blobs fetched from peers.", func(r *Reading) float64 { return float64(r.Received) }),

		gauge("shoal_peers", "Nodes that this one is connected with.", func(r *Reading) float64 { return float64(r.Peers) }),
		gauge("shoal_donors", "Of them, those that donate.", func(r *Reading) float64 { return float64(r.Donors) }),
		gauge("shoal_reachable", "1 where others can dial this node.", func(r *Reading) float64 {
			if r.Reachable {
				return 1
			}
			return 0
		}),
	}
}
