package child

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/shoalgrid/shoal/wasm/files"
	"github.com/shoalgrid/shoal/wasm/link"
)

// A state as the parent keeps it is the fuel that the guest had used when it left it, in eight
// bytes, and the archive of its files. The fuel goes on from there, so that the limit means the
// same to a guest that was begun twice.

// stateEvery is how often a guest's state is sent at most. What it leaves in between is sent
// with what it leaves later, or lost.
const stateEvery = time.Second

// takeState reads the state that follows an input.
func (r *runner) takeState(size uint64) (state []byte, err error) {
	if size > link.StateMax {
		return nil, fmt.Errorf("read a state: %w of %d bytes", link.ErrFrame, size)
	}
	for whole := false; !whole; {
		kind, payload, grown, err := link.ReadFrame(r.in, r.chunk)
		r.chunk = grown
		if err == nil && kind != link.KindState {
			err = fmt.Errorf("%w of kind %q", link.ErrFrame, kind)
		}
		if err == nil {
			state, whole, err = link.AddState(state, payload)
		}
		if err != nil {
			return nil, fmt.Errorf("read a state: %w", err)
		}
	}
	return state, nil
}

// world makes the files of a guest, those that it left in an earlier run among them. A state
// that makes no sense is none.
func (r *runner) world(now *clock, file *files.Host, state []byte) *files.Tree {
	r.spent = 0
	if len(state) > 8 {
		tree := files.New(surroundings{now, r.memory}, r.data, file)
		spent := binary.BigEndian.Uint64(state)
		if err := tree.RestoreState(state[8:]); err == nil && (r.fuel == 0 || spent < r.fuel) {
			r.spent = spent
			return tree
		}
		r.memory.begin()
	}
	return files.New(surroundings{now, r.memory}, r.data, file)
}

// keepState sends the state of a guest whenever it may be whole, but not too often.
func (r *runner) keepState(tree *files.Tree) {
	last := time.Now()
	tree.KeepState(func() {
		if time.Since(last) < stateEvery {
			return
		}
		archive, err := tree.State()
		if err != nil {
			return // too large: the guest is not told, it would not be elsewhere
		}
		state := append(binary.BigEndian.AppendUint64(nil, r.used()), archive...)
		var frame []byte
		for {
			frame, state = link.StateFrame(frame, state)
			r.mustWrite(frame)
			if len(state) == 0 {
				break
			}
		}
		last = time.Now()
	})
}
