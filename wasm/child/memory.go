package child

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
)

// ErrHostMemory stops a guest for which this host has no memory left. The guest must not
// see a refusal that other hosts would not have given it.
var ErrHostMemory = errors.New("this host ran out of memory")

// memory is the linear memory of the guests of a child, one after another, in the same
// reserved address space: growing never copies, and what a guest has not touched costs
// nothing. Files that a guest writes count towards the same limit.
type memory struct {
	limit     uint64
	region    []byte // limit bytes of address space, or nil
	committed uint64 // bytes at the start of region that may be used

	// Of the current guest:
	size    uint64 // bytes of linear memory
	files   uint64 // bytes in files that it has written
	peak    uint64 // bytes of both at most
	refused bool   // more than the limit was asked for
}

// begin forgets about the last guest. An instance that was never finished is not freed by
// wazero.
func (m *memory) begin() {
	m.Free()
	m.files, m.peak, m.refused = 0, 0, false
}

// fits reports whether the limit allows so many bytes of linear memory and of files.
func (m *memory) fits(size, files uint64) bool {
	if size+files > m.limit {
		m.refused = true
		return false
	}
	m.size, m.files = size, files
	m.peak = max(m.peak, size+files)
	return true
}

// take counts bytes that files take; negative gives them back.
func (m *memory) take(bytes int64) bool { return m.fits(m.size, m.files+uint64(bytes)) }

// Allocate implements experimental.MemoryAllocator. A program has at most one memory.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory.
func (m *memory) Reallocate(size uint64) []byte {
	if !m.fits(size, m.files) {
		return nil
	}
	if m.region == nil {
		region, err := reserve(m.limit)
		if err != nil {
			panic(fmt.Errorf("%w: %w", ErrHostMemory, err))
		}
		m.region, m.committed = region, 0
	}
	if size > m.committed {
		if err := commit(m.region[m.committed:size]); err != nil {
			panic(fmt.Errorf("%w: %w", ErrHostMemory, err))
		}
		m.committed = size
	}
	return m.region[:size:size]
}

// Free implements experimental.LinearMemory: what the guest has left behind becomes zeros.
func (m *memory) Free() {
	if m.size == 0 {
		return
	}
	if err := clean(m.region[:m.size]); err != nil {
		// The next guest would see what this one wrote; and a panic would be recovered by wazero.
		die(fmt.Errorf("clear the memory of a guest: %w", err))
	}
	m.size = 0
}
