//go:build race

package wasm_test

// raceDetector is on: children then have no limit of memory, see package jail.
const raceDetector = true
