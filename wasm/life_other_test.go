//go:build !linux

package wasm_test

// doomedParent is for a test that looks into /proc.
func doomedParent() {}
