package files

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
)

// WriteOut writes what the guest left in /out: nothing when there are no files, else a tar
// archive of them, in the order of their names. What else an archive tells of a file is the
// same for all, so that equal files give equal bytes.
func (t *Tree) WriteOut(w io.Writer) error {
	archive := tar.NewWriter(w)
	any, err := writeFolder(archive, t.root.children["out"], "")
	if err != nil || !any {
		return err
	}
	return archive.Close()
}

// writeFolder writes the files below a folder and reports whether there were any.
func writeFolder(archive *tar.Writer, dir *node, below string) (any bool, err error) {
	for _, name := range dir.list() {
		n, name := dir.children[name], path.Join(below, name)
		if n.isDir() {
			some, err := writeFolder(archive, n, name)
			if err != nil {
				return any, err
			}
			any = any || some
			continue
		}
		any = true
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: n.size()}); err != nil {
			return any, fmt.Errorf("archive %s: %w", name, err)
		}
		var page [pageSize]byte
		for off := int64(0); off < n.size(); off += pageSize {
			if _, err := archive.Write(page[:n.content.read(page[:], off)]); err != nil {
				return any, fmt.Errorf("archive %s: %w", name, err)
			}
		}
	}
	return any, nil
}
