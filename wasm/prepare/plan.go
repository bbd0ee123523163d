package prepare

// plan is what the first pass learns about a function, and what the call graph decides for it.
type plan struct {
	calls      []uint32 // nodes of the call graph that it calls, as often as they stand in the code
	cost       uint32   // instructions in the body that cost fuel
	frame      uint32   // bytes of stack that one call of it may take, estimated from above
	leavesBody bool     // a branch or return leaves from elsewhere than the last end
	marks      marks    // instructions that need a canonical NaN

	checks marks // stores behind which the stored values are looked at

	charge uint32 // bytes of stack that a call charges; 0 if it does not
	test   bool   // fuel is tested at entry
}

// marks is a set of instructions of one function, by their number in the body.
type marks []uint64

func (m *marks) add(n uint32) {
	for int(n/64) >= len(*m) {
		*m = append(*m, 0)
	}
	(*m)[n/64] |= 1 << (n % 64)
}

func (m marks) has(n uint32) bool {
	return int(n/64) < len(m) && m[n/64]&(1<<(n%64)) != 0
}
