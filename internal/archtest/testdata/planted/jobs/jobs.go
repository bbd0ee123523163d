// Package jobs is pure, or should be.
package jobs

import (
	"crypto/rand"
	"net/netip"
	"sync/atomic"
	clock "time"

	"github.com/fxamacker/cbor/v2"
	"github.com/shoalgrid/shoal/scheduler"
)

var (
	_ = rand.Text
	_ netip.Addr
	_ atomic.Bool
	_ = cbor.Marshal
	_ = scheduler.X
)

// Age reads the clock under another name.
func Age(t clock.Time) clock.Duration { return clock.Now().Sub(t) }

type fake struct{}

func (fake) Now() int   { return 0 }
func (fake) init()      {}
func (fake) Sleep() int { return 0 }

// Fine uses a variable that is called like a package.
func Fine() int { time := fake{}; return time.Now() + time.Sleep() }
