// Package worker is the hands: it picks units of the jobs on the board, claims them, fetches
// what they need, runs them in a sandbox, renews its leases meanwhile, seals each result and
// reveals it when its round's seals are in. Whatever it has sealed survives a restart.
//
//	feed.go      board → job → shard → claim a batch → fetch          (one goroutine)
//	slot.go      take one task after the other, keep a guest warm     (one goroutine a slot)
//	lend.go      what the machine's owner allows: stop, go on, give back
//	task.go      run one unit, input by input; renew what is held
//	recall.go    what a killed node held, and goes on with;  state.go: what its guests left
//	report.go    journal what is finished                             (one goroutine)
//	settle.go    seal, wait for the round, reveal, see it done        (one goroutine a shard)
//	whose.go     whose jobs come next, and whose do not come here
//	pick.go      which replicas to ask for: pure
package worker
