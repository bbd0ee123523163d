// Package wasm is the sandbox: the one place where programs of strangers run, and the one
// door to wazero.
//
// Guests never run in the process that uses this package. A Sandbox starts children (the
// same binary with ChildArg), one for each program that is kept warm and one guest at a
// time in each, and speaks with them over a socket:
//
//	Inspect   admit: is this a program at all, and one that the grid takes?
//	Start     compile child: prepare and compile once, into a cache that is verified when read
//	          run child: load, lock every door, wait for inputs
//	Run       one input: a fresh instance in a fixed world (clock, randomness, files), one Report
//
// What a guest sees is a function of program, input, data, limits and seed only. Time,
// memory and stack of this host end a run as jobs.GaveUp, which is no result.
package wasm
