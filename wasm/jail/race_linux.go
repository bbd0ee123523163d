//go:build race

package jail

// raceDetector is on: its shadow memory counts as data, many times what the program has.
const raceDetector = true
