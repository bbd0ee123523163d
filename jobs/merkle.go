package jobs

// A Merkle tree as in RFC 6962 §2.1: leaves and inner nodes are hashed with different first
// bytes, a level's odd last node moves up unchanged.

const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

func node(l, r Digest) Digest { return Sum([]byte{nodePrefix}, l[:], r[:]) }

// LeafOf is the leaf that stands for b in a tree.
func LeafOf(b []byte) Digest { return Sum([]byte{leafPrefix}, b) }

// level folds one level of a tree into the next.
func level(in []Digest) []Digest {
	out := make([]Digest, 0, (len(in)+1)/2)
	for i := 0; i+1 < len(in); i += 2 {
		out = append(out, node(in[i], in[i+1]))
	}
	if len(in)%2 == 1 {
		out = append(out, in[len(in)-1])
	}
	return out
}

// Root is the root of the tree over the leaves; of none it is the zero digest.
func Root(leaves []Digest) Digest {
	if len(leaves) == 0 {
		return Digest{}
	}
	for len(leaves) > 1 {
		leaves = level(leaves)
	}
	return leaves[0]
}

// Path is the list of neighbours that lead from leaf i to the root.
func Path(leaves []Digest, i int) []Digest {
	var path []Digest
	for len(leaves) > 1 {
		if s := i ^ 1; s < len(leaves) {
			path = append(path, leaves[s])
		}
		leaves, i = level(leaves), i/2
	}
	return path
}

// RootFrom is the root of a tree of n leaves in which the given leaf stands at place i with
// that path; false when the path is not of the length such a leaf has.
func RootFrom(leaf Digest, i, n int, path []Digest) (Digest, bool) {
	if i < 0 || i >= n {
		return Digest{}, false
	}
	h := leaf
	for n > 1 {
		if s := i ^ 1; s < n {
			if len(path) == 0 {
				return Digest{}, false
			}
			if i%2 == 0 {
				h = node(h, path[0])
			} else {
				h = node(path[0], h)
			}
			path = path[1:]
		}
		i, n = i/2, (n+1)/2
	}
	return h, len(path) == 0
}
