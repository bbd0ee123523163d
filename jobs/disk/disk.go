// Package disk is the contract of what survives a restart, as the doers see it: keyed values in
// the order of their keys. It is pure; internal/store is one implementation, a map in
// internal/sim another.
package disk

import "context"

// Pair is a key and its value.
type Pair struct{ Key, Value []byte }

// Disk keeps pairs. It is safe for concurrent use.
type Disk interface {
	// Get gives a key's value, and whether there is one.
	Get(key []byte) ([]byte, bool, error)
	// Put writes pairs, all or none. They are durable when it returns without an error.
	Put(ctx context.Context, pairs ...Pair) error
	// Delete removes keys; those that are not there are none of its business.
	Delete(ctx context.Context, keys ...[]byte) error
	// Scan calls f with every pair whose key begins with prefix, in the order of the keys. What
	// f is given is good only within the call.
	Scan(prefix []byte, f func(key, value []byte) error) error
	// DeletePrefix removes every key that begins with prefix.
	DeletePrefix(ctx context.Context, prefix []byte) error
}
