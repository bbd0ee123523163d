package prepare

// place is somewhere that holds a scalar float between instructions: a local, a parameter, a result, a global.
type place = uint32

// flow follows NaNs of free bits through places, across the whole module, when they are canonicalised late: a place is
// loose if such a NaN may be in it. What the host passes in is fixed, so a parameter that only the host fills is too.
type flow struct {
	functions []place // of the first parameter of each of the module's own functions; its results follow
	types     []place // the same for what is called indirectly
	globals   place   // of the first global

	own    place // of the first parameter of the function being checked
	params uint32
	locals []entry // places of its other locals, made as they are used
	age    int     // of entries that are this function's

	loose  []bool
	copies [][2]place // from, to
	shows  []shown
}

// shown is an instruction that shows the bits of what a place holds.
type shown struct {
	plan   *plan
	number uint32
	place  place
}

func newFlow(m *module) *flow {
	f := &flow{}
	next := place(0)
	for _, t := range m.funcs[m.importedFuncs:] {
		f.functions = append(f.functions, next)
		next += m.types[t].places()
	}
	for _, t := range m.types {
		f.types = append(f.types, next)
		next += t.places()
	}
	f.globals = next
	f.loose = make([]bool, int(next)+len(m.globals))
	return f
}

func (t *funcType) places() place { return place(len(t.params) + len(t.results)) }

// entry is the place of a local, if age is that of the function.
type entry struct {
	age   int
	place place
}

// enter goes on to the next function.
func (f *flow) enter(own place, params int) {
	f.own, f.params = own, uint32(params)
	f.age++
}

// local is the place of a local of the function being checked.
func (f *flow) local(index uint32) place {
	if index < f.params {
		return f.own + index
	}
	for int(index) >= len(f.locals) {
		f.locals = append(f.locals, entry{})
	}
	e := &f.locals[index]
	if e.age != f.age {
		*e = entry{f.age, place(len(f.loose))}
		f.loose = append(f.loose, false)
	}
	return e.place
}

func (f *flow) copy(from, to place) {
	if from != to {
		f.copies = append(f.copies, [2]place{from, to})
	}
}

func (f *flow) show(p *plan, number uint32, from place) {
	f.shows = append(f.shows, shown{p, number, from})
}

// settle spreads looseness along the copies, and marks the instructions that show it.
func (f *flow) settle(m *module) {
	for i, declared := range m.declared {
		if !declared || i < m.importedFuncs {
			continue // nothing can call it indirectly
		}
		t := m.funcType(uint32(i))
		from, to := f.types[m.sameType[m.funcs[i]]], f.functions[i-m.importedFuncs]
		for p := range t.places() {
			if p < place(len(t.params)) {
				f.copy(from+p, to+p)
			} else {
				f.copy(to+p, from+p)
			}
		}
	}
	f.spread()
	for _, s := range f.shows {
		if f.loose[s.place] {
			s.plan.marks.add(s.number)
		}
	}
}

// spread makes loose whatever a loose place is copied to.
func (f *flow) spread() {
	next := make([]int32, len(f.copies)) // chains of the copies from one place
	first := make([]int32, len(f.loose))
	for i, c := range f.copies {
		next[i], first[c[0]] = first[c[0]], int32(i+1)
	}
	var todo []place
	for p, loose := range f.loose {
		if loose {
			todo = append(todo, place(p))
		}
	}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for i := first[p]; i > 0; i = next[i-1] {
			if to := f.copies[i-1][1]; !f.loose[to] {
				f.loose[to] = true
				todo = append(todo, to)
			}
		}
	}
}
