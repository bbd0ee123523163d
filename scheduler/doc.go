// Package scheduler is the brain, and it is pure: told the time, it answers with decisions.
// It holds no clock, socket, goroutine or random source; scheduler/keeper drives it.
//
// A Ledger is what one keeper knows of one shard. It has two halves that must not be mixed up:
//
//   - leases (lease.go, slots.go) are soft. They depend on this keeper's clock and on the order in which
//     claims came, live in memory, and only save work.
//   - records (ledger.go, records.go) are hard. They are a set that only grows; verdicts (verdict.go) are a
//     function of that set, whatever order it came in and however often, so that keepers who
//     never speak still come to the same verdict.
//
// A unit's life, as its State:
//
//	Open → Running (a lease is live) → Sealed (a vote waits for its partner)
//	     → Agreed | Failed | Stuck | Disputed
package scheduler
