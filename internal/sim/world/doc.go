// Package world is a whole grid in virtual time, decided by one seed: the real scheduler, keeper,
// client, worker, submit and collect code of every node, on a network, on disks and by clocks that
// fail as the seed draws it, among nodes that lie. One seed is one run, on every machine. After
// every step the invariants are held against what happened; a breach names its seed.
//
//	world.go       options, nodes, the run from the first node to the verdict
//	node.go        a node: what outlives its process, and its process
//	link.go        the network: delay, loss, duplication, cuts, replays
//	disk.go        what survives a crash; it is slow, full, or fails
//	blobs.go       bytes by name
//	guest.go       the programs, which are the one thing that is not real: an oracle in their place
//	submitter.go   the life of a job at its submitter's
//	vices.go       how nodes lie, by name: as workers (liars.go, thief.go, keys.go), as keepers
//	               (keepers.go), as submitters (cheats.go), and beside the protocol (attack.go)
//	faults.go      what goes wrong, and when
//	volunteers.go  machines that come and go         vanish.go  and that do not come back
//	cost.go        what is sent
//	weather.go     slow ways, slow and stubborn disks, what stands still
//	decay.go       what rots, and which release runs
//	witness.go     what is seen of every message, execution and write
//	invariants.go  what must hold, and where each is looked at:
//	answers.go     of what was accepted           causes.go    of executions, and why there is another
//	keeping.go     of what keepers know           leases.go    of who may run what, and for how long
//	results.go     of seals and reveals           merging.go   of all records together
//	standing.go    of the honest
//	defect.go      bugs to plant, to see that each check finds one
//
// Integers only: a fused multiply-add on another machine would make another run.
package world
