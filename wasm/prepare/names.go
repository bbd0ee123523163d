package prepare

// WithoutNames gives a module without its custom sections, names among them. They do nothing, but an engine reads the
// names all the same, and allocates for as many as a few bytes say there are. What it cannot read it refuses.
func WithoutNames(original []byte) (bare []byte, err error) {
	defer refusing(&bare, &err)
	r := &reader{section: "module", all: original}
	r.magic()
	bare = append(bare, magic...)
	for !r.done() {
		start := r.pos
		id := r.byte()
		r.bytes(r.u32())
		if id != sectionCustom {
			bare = append(bare, original[start:r.pos]...)
		}
	}
	return bare, nil
}
