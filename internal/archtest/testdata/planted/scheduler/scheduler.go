// Package scheduler starts goroutines.
package scheduler

import "time"

// X waits.
func X(c chan int) {
	go func() { c <- 1 }()
	select {
	case <-c:
	case <-time.After(time.Second):
	}
}
