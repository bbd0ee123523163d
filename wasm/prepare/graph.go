package prepare

// Limits on what may go uncounted between two checks. A function above either limit checks for itself.
const (
	// uncharged is how many bytes of stack a chain of calls may take before one of them charges for all.
	uncharged = 1 << 10
	// untested is how many instructions may run between two tests of the fuel, loops aside: those test at their heads.
	untested = 1 << 12
)

// Work is counted no higher than this, so that it cannot overflow.
const muchWork = 1 << 30

// callGraph has a node for each function of the module, and behind them one for each type that is called indirectly,
// which calls every function of that type that a table can hold.
type callGraph struct {
	plans   []plan
	members [][]uint32 // functions behind each indirect type
	state   []visit
	need    []uint32 // bytes of stack that a call of the node takes from its caller's charge
	work    []uint64 // instructions that it may run before a test
	charges []uint32 // of each type that breaks a cycle: its call sites charge and test; 0 of the others
}

type visit uint8

const (
	unseen visit = iota
	open
	closed
)

// chargeCalls decides which functions charge stack and test fuel at entry. Every cycle of calls has one that does, and
// between two that do no chain of calls goes above the limits; the others, leaves above all, run without.
func chargeCalls(m *module, plans []plan) {
	g := newCallGraph(m, plans)
	for n := range g.state {
		if g.state[n] == unseen {
			g.walk(uint32(n))
		}
	}
	m.indirectCharge = g.charges
}

func newCallGraph(m *module, plans []plan) *callGraph {
	nodes := len(plans) + len(m.types)
	g := &callGraph{
		plans: plans, members: make([][]uint32, len(m.types)), state: make([]visit, nodes),
		need: make([]uint32, nodes), work: make([]uint64, nodes), charges: make([]uint32, len(m.types)),
	}
	for f, declared := range m.declared {
		if declared && f >= m.importedFuncs {
			t := m.sameType[m.funcs[f]]
			g.members[t] = append(g.members[t], uint32(f-m.importedFuncs))
		}
	}
	return g
}

func (g *callGraph) callees(n uint32) []uint32 {
	if int(n) < len(g.plans) {
		return g.plans[n].calls
	}
	return g.members[int(n)-len(g.plans)]
}

// step is a node on the way from a root, and how many of its callees have been looked at.
type step struct {
	node uint32
	next int
}

// walk goes through everything that root reaches, callees first.
func (g *callGraph) walk(root uint32) {
	g.state[root] = open
	path := []step{{node: root}}
	for len(path) > 0 {
		s := &path[len(path)-1]
		callees := g.callees(s.node)
		if s.next == len(callees) {
			g.close(s.node)
			path = path[:len(path)-1]
			continue
		}
		callee := callees[s.next]
		s.next++
		switch g.state[callee] {
		case open: // a cycle: whoever closes it charges
			g.breakAt(callee)
		case unseen:
			g.state[callee] = open
			path = append(path, step{node: callee})
		}
	}
}

func (g *callGraph) breakAt(n uint32) {
	if int(n) < len(g.plans) {
		g.plans[n].charge, g.plans[n].test = minFrame, true
	} else {
		g.charges[int(n)-len(g.plans)] = minFrame
	}
}

// close settles a node all of whose callees are settled, or break a cycle through it.
func (g *callGraph) close(n uint32) {
	g.state[n] = closed
	var deepest uint32
	var sum, most uint64
	for _, callee := range g.callees(n) {
		if g.state[callee] == open {
			continue // it charges and tests for itself
		}
		deepest = max(deepest, g.need[callee])
		sum = min(sum+g.work[callee], muchWork)
		most = max(most, g.work[callee])
	}
	if int(n) >= len(g.plans) {
		if t := int(n) - len(g.plans); g.charges[t] != 0 {
			g.charges[t] = max(deepest, minFrame)
		} else {
			g.need[n], g.work[n] = deepest, most
		}
		return
	}
	p := &g.plans[n]
	need, work := p.frame+deepest, sum+uint64(p.cost)
	if p.charge != 0 || need > uncharged {
		p.charge, need = need, 0
	}
	if p.test || work > untested {
		p.test, work = true, 0
	}
	g.need[n], g.work[n] = need, work
}
