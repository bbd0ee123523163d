//go:build !linux

// Package lockless is for tests of a kernel that lacks a lock, which only Linux has.
package lockless

// Main has nothing to take away here.
func Main([]string) int { return 1 }
