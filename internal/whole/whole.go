// Package whole replaces small files: whoever reads one, also after a power cut, finds all of the
// old or all of the new.
package whole

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes the file at path, or replaces it, with the mode. It leaves nothing beside it unless the
// process is killed: then a file whose name begins with a dot.
func Write(path string, data []byte, mode fs.FileMode) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name()) // what went wrong before says more
		}
	}()
	_, err = part.Write(data)
	// Renamed before its bytes are on disk, it could be empty after a power cut.
	if err = errors.Join(err, part.Chmod(mode), part.Sync(), part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}
