package wasm

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
)

// errHostMemory stops a guest for which this host has no memory left. The guest must not
// see a refusal that other hosts would not have given it.
var errHostMemory = errors.New("this host ran out of memory")

// memory is the linear memory of the guests of a child, one after another, in the same
// reserved address space: growing never copies, and what a guest has not touched costs
// nothing.
type memory struct {
	limit     uint64
	region    []byte // limit bytes of address space, or nil
	committed uint64 // bytes at the start of region that may be used
	peak      uint64 // bytes the current guest has had
	refused   bool   // the current guest asked for more than the limit
}

// begin forgets about the last guest.
func (m *memory) begin() { m.peak, m.refused = 0, false }

// Allocate implements experimental.MemoryAllocator. A program has at most one memory.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	if m.region == nil {
		region, err := reserve(m.limit)
		if err != nil {
			panic(fmt.Errorf("%w: %w", errHostMemory, err))
		}
		m.region, m.committed = region, 0
	}
	if size > m.committed {
		if err := commit(m.region[m.committed:size]); err != nil {
			panic(fmt.Errorf("%w: %w", errHostMemory, err))
		}
		m.committed = size
	}
	m.peak = max(m.peak, size)
	return m.region[:size:size]
}

// Free implements experimental.LinearMemory: what the guest has left behind becomes zeros.
func (m *memory) Free() {
	if m.peak == 0 {
		return
	}
	if err := clean(m.region[:m.peak]); err != nil {
		// The next guest would see what this one wrote; and a panic would be recovered by wazero.
		die(fmt.Errorf("clear the memory of a guest: %w", err))
	}
}
