package prepare

// maxLocals bounds the locals of one function, parameters included: a few bytes can claim four thousand million.
const maxLocals = 50_000

// locals are the types of a function's parameters and locals, in runs of one type: a body of a few bytes can declare
// thousands, and costs no more to check than it is long.
type locals struct {
	runs   []run
	params int // how many of them the type of the function declares
}

type run struct {
	end int // index of the local behind it
	typ valType
}

func (l *locals) count() int {
	if len(l.runs) == 0 {
		return 0
	}
	return l.runs[len(l.runs)-1].end
}

func (l *locals) add(n uint32, t valType) {
	if n == 0 {
		return
	}
	end := l.count() + int(n)
	if last := len(l.runs) - 1; last >= 0 && l.runs[last].typ == t && l.count() != l.params {
		l.runs[last].end = end
		return
	}
	l.runs = append(l.runs, run{end, t})
}

// at is the type of a local, which must be one of them.
func (l *locals) at(index uint32) valType {
	low, high := 0, len(l.runs)
	for low < high {
		if middle := (low + high) / 2; l.runs[middle].end <= int(index) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return l.runs[low].typ
}

// read takes the parameters from the function's type and the rest from its body.
func (l *locals) read(params types, r *reader) {
	l.runs, l.params = l.runs[:0], -1
	for _, t := range []byte(params) {
		l.add(1, valType(t))
	}
	l.params = len(params)
	for groups := r.u32(); groups > 0; groups-- {
		n, t := r.u32(), valType(r.byte())
		if !t.valid() {
			r.refuseAt(r.pos-1, "unknown value type %#x", byte(t))
		}
		if uint64(l.count())+uint64(n) > maxLocals {
			r.refuse("more than %d locals", maxLocals)
		}
		l.add(n, t)
	}
}

// appendDeclared writes the declarations of the locals that are no parameters, and of those that were added.
func (l *locals) appendDeclared(b []byte, added []valType) []byte {
	var groups []byte
	n, start := uint32(0), l.params
	group := func(count int, t valType) {
		groups = append(appendU32(groups, uint32(count)), byte(t))
		n++
	}
	for _, r := range l.runs {
		if r.end > l.params {
			group(r.end-start, r.typ)
			start = r.end
		}
	}
	for _, t := range added {
		group(1, t)
	}
	return append(appendU32(b, n), groups...)
}
