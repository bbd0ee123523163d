// Package examples holds programs for the grid with answers that are known: mersenne,
// mandelbrot and wordfreq, each in a folder of its own with its inputs and its expected
// output. Its test builds each for WASI, runs it in the sandbox, and compares.
package examples
