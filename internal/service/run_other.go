//go:build !windows

package service

import "context"

// Run calls f. Only Windows needs a service to be more than a process that ends on SIGTERM.
func Run(ctx context.Context, _ error, f func(context.Context) error) error { return f(ctx) }
