// Package jobs holds the nouns of shoal: jobs, work units, claims, results and the signed
// records that carry them, with their one canonical encoding. It is pure: no clock, no
// network, no file, no goroutine; time and identity are arguments.
//
// A unit of work flows through the folders like this:
//
//	submit    jobs/submit        split the inputs into units and shards, sign the job
//	publish   jobs/submit        place every shard on its keepers, then put the head on the board
//	claim     scheduler/keeper   keepers grant replicas to workers for the length of a lease
//	run       worker → wasm      run the program on the unit's inputs in a sandbox
//	verify    scheduler          compare what independent workers sealed, then revealed
//	collect   jobs/collect       gather, verify again, accept, assemble in input order
package jobs
