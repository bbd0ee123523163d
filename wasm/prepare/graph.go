package prepare

// Limits on what may go unchecked. A function that would exceed one checks for itself.
const (
	// uncharged is how many bytes of stack the calls of functions that do not charge may take, one in another.
	uncharged = 16 << 10
	// untested is how many instructions may run between two tests of the fuel, loops aside: those test for themselves.
	untested = 1 << 16
)

// muchWork is where counting the work of a call stops, lest it overflow.
const muchWork = 1 << 30

// callGraph has a node for each function of the module, and behind them one for each type that is called indirectly,
// which calls every function of that type that a table can hold.
type callGraph struct {
	plans   []plan
	members [][]uint32 // functions behind each indirect type
	nodes   []node
}

// node is what a call of a function, or through a type, may lead to before something else checks.
type node struct {
	state visit
	cycle bool   // it may come to a cycle of calls; then it charges, and takes nothing of its callers' allowances
	peak  uint32 // bytes of stack
	work  uint64 // instructions, loops counted once
}

type visit uint8

const (
	unseen visit = iota
	open
	closed
)

// chargeCalls decides which functions charge stack and test fuel at entry: all that calls can come back to or that lead
// there, and those that are large. The others, leaves above all, run without.
func chargeCalls(m *module, plans []plan) {
	g := &callGraph{
		plans: plans, members: make([][]uint32, len(m.types)), nodes: make([]node, len(plans)+len(m.types)),
	}
	for f, declared := range m.declared {
		if declared && f >= m.importedFuncs {
			t := m.sameType[m.funcs[f]]
			g.members[t] = append(g.members[t], uint32(f-m.importedFuncs))
		}
	}
	for n := range g.nodes {
		if g.nodes[n].state == unseen {
			g.walk(uint32(n))
		}
	}
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
	g.nodes[root].state = open
	path := []step{{node: root}}
	for len(path) > 0 {
		s := &path[len(path)-1]
		callees := g.callees(s.node)
		if s.next == len(callees) {
			g.close(s.node, callees)
			path = path[:len(path)-1]
			continue
		}
		callee := callees[s.next]
		s.next++
		if n := &g.nodes[callee]; n.state == unseen {
			n.state = open
			path = append(path, step{node: callee})
		}
	}
}

// close settles a node whose callees are settled, but for those still open, which call it back.
func (g *callGraph) close(n uint32, callees []uint32) {
	sum := node{state: closed}
	var most uint64
	for _, callee := range callees {
		c := &g.nodes[callee]
		sum.cycle = sum.cycle || c.cycle || c.state == open
		sum.peak = max(sum.peak, c.peak)
		sum.work = min(sum.work+c.work, muchWork)
		most = max(most, c.work)
	}
	if int(n) < len(g.plans) {
		sum = g.plans[n].settle(sum)
	} else {
		sum.work = most // a call runs one of them
	}
	g.nodes[n] = sum
}

// settle decides whether a function charges and tests, given what its callees come to, and gives what it does.
func (p *plan) settle(n node) node {
	n.peak += p.frame
	n.work += uint64(p.cost)
	if n.cycle || n.peak > uncharged {
		p.charge, p.test = p.frame, true
		n.peak, n.work = 0, 0
	}
	if n.work > untested {
		p.test, n.work = true, 0
	}
	return n
}
