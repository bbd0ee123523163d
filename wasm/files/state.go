package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	wasisys "github.com/tetratelabs/wazero/sys"
)

// State is the folder /state: a guest that runs for long may leave there how far it is, and
// find it again when it is begun anew on the same machine with the same input. It is not in
// the result, and no other machine has it. So a guest must give the same answer with it as
// without; how many instructions that took cannot be the same, and is not told of a guest that
// has named /state.
//
// What is in the folder is offered to be kept whenever a file of it that may be written is
// closed or synced, and when something is renamed into it: then it should be whole.

// MaxState is the bytes of /state that are kept, in an archive of its files. More is not kept,
// and the guest is not told.
const MaxState = 16 << 20

const stateName = "state"

// firstState is the number of the folder: its files' numbers are apart from all others', which
// are so the same with a state as without.
const firstState = wasisys.Inode(1) << 40

// state is the folder and what is to be done with it.
type state struct {
	root    *node
	touched bool   // the guest has named it
	keep    func() // may be nil
	last    wasisys.Inode
}

func newState() *state {
	return &state{root: &node{number: firstState, children: map[string]*node{}, writable: true, kept: true}, last: firstState}
}

// number makes a node one of the folder's.
func (s *state) number(n *node, now int64) *node {
	s.last++
	n.number, n.changed, n.kept = s.last, now, true
	return n
}

// settled says that what is in the folder may be whole.
func (s *state) settled() {
	if s.keep != nil {
		s.keep()
	}
}

// isState reports whether a path leads into the folder.
func (t *Tree) isState(p string) bool { return within(p, "/"+stateName) }

// KeepState has f called whenever the guest's state may be whole.
func (t *Tree) KeepState(f func()) { t.state.keep = f }

// UsesState reports whether the guest has named /state.
func (t *Tree) UsesState() bool { return t.state.touched }

// errTooLarge is a state that is not kept.
var errTooLarge = fmt.Errorf("more than %d bytes in /%s", MaxState, stateName)

// State is an archive of the files in /state, at most MaxState bytes.
func (t *Tree) State() ([]byte, error) {
	if size := t.state.root.weight(); size > MaxState {
		return nil, errTooLarge
	}
	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	if _, err := writeFolder(archive, t.state.root, ""); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("archive the state: %w", err)
	}
	if b.Len() > MaxState {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

// weight is the bytes of all files below a folder, as far as they matter.
func (n *node) weight() (size int64) {
	if !n.isDir() {
		return n.size()
	}
	for _, child := range n.children {
		if size += child.weight(); size > MaxState {
			return size
		}
	}
	return size
}

// errState is an archive that is no state.
var errState = errors.New("not a state")

// RestoreState puts the files of an archive into /state, before the guest is begun. After an
// error some of them may be there: make another tree.
func (t *Tree) RestoreState(archive []byte) error {
	in := tar.NewReader(bytes.NewReader(archive))
	for {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || head.Typeflag != tar.TypeReg || head.Size > MaxState {
			return errors.Join(errState, err)
		}
		if err := t.restoreFile(head.Name, in); err != nil {
			return err
		}
	}
}

func (t *Tree) restoreFile(name string, from io.Reader) error {
	names := strings.Split(name, "/")
	if path.Clean(name) != name || len(names) >= MaxDepth {
		return errState
	}
	dir := t.state.root
	for i, n := range names {
		if !ValidName(n) || !dir.isDir() {
			return errState
		}
		child := dir.children[n]
		last := i == len(names)-1
		switch {
		case child != nil && last, t.made >= MaxNodes:
			return errState
		case child == nil && last:
			child = &node{writable: true}
		case child == nil:
			child = &node{writable: true, children: map[string]*node{}}
		}
		if dir.children[n] == nil {
			t.made++
			dir.children[n] = t.state.number(child, t.world.Now())
		}
		dir = child
	}
	var page [pageSize]byte
	for off := int64(0); ; {
		n, err := io.ReadFull(from, page[:])
		if n > 0 && !t.world.Take(dir.content.missing(n, off)) {
			return errState
		}
		dir.content.write(page[:n], off)
		off += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && n > 0:
			return nil
		case err != nil:
			return errors.Join(errState, err)
		}
	}
}
