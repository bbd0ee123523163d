package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/shoalgrid/shoal/jobs"
)

// survey makes index and files agree again after an end that was not in order, or after
// the database was lost: entries without a file go, files without an entry are hashed and
// taken up if they are what their name says. It runs before anybody else can look.
func (b *Blobs) survey() error {
	lost, err := b.dropLost()
	if err != nil {
		return err
	}
	adopted, removed, err := b.adoptFiles()
	if err != nil {
		return err
	}
	if lost+adopted+removed > 0 {
		b.s.o.Logger.Warn("blobs surveyed after a kill",
			"entries_without_file", lost, "files_taken_up", adopted, "files_removed", removed)
	}
	return nil
}

// dropLost removes the entries whose file is missing or has another size.
func (b *Blobs) dropLost() (int, error) {
	var lost []located
	err := b.each(nil, func(e located) error {
		name := b.path(e.d)
		if e.state == partial {
			name += partialSuffix
		}
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case e.state == partial || info.Size() == int64(e.size):
			return nil
		}
		lost = append(lost, e)
		return nil
	})
	if err != nil || len(lost) == 0 {
		return 0, err
	}
	return len(lost), b.drop(context.Background(), lost)
}

// adoptFiles takes up, or removes, the files of ours that the index does not know. Files
// with foreign names are left alone.
func (b *Blobs) adoptFiles() (adopted, removed int, err error) {
	for i := range b.folder {
		folder := b.folderOf(jobs.Digest{byte(i)})
		files, err := os.ReadDir(folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return adopted, removed, err
		}
		for _, f := range files {
			switch ok, known, err := b.adopt(folder, f); {
			case err != nil:
				return adopted, removed, err
			case known:
			case ok:
				adopted++
			default:
				removed++
			}
		}
	}
	return adopted, removed, nil
}

// nameOf reads the digest that a file in a folder is named by, if the name is one of ours.
func (b *Blobs) nameOf(folder string, f fs.DirEntry) (d jobs.Digest, part, ours bool) {
	name, part := strings.CutSuffix(f.Name(), partialSuffix)
	d, err := jobs.ParseDigest(name)
	ours = err == nil && name == d.String() && f.Type().IsRegular() && b.folderOf(d) == folder
	return d, part, ours
}

// adopt takes up one file (ok), finds it needs nothing (known), or removes it.
func (b *Blobs) adopt(folder string, f fs.DirEntry) (ok, known bool, err error) {
	path := filepath.Join(folder, f.Name())
	d, part, ours := b.nameOf(folder, f)
	if !ours {
		return false, true, nil
	}
	e, found, err := b.entry(d)
	if err != nil {
		return false, false, err
	}
	if found && part == (e.state == partial) {
		return false, true, nil
	}
	if part || found { // a rest of what is here in the other state
		return false, false, os.Remove(path)
	}
	blob, list, err := nameFile(path)
	if err != nil {
		return false, false, err
	}
	if blob.Digest != d {
		return false, false, os.Remove(path)
	}
	return true, false, b.s.write(context.Background(), b.indexed(blob, list))
}

func nameFile(path string) (jobs.Blob, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return jobs.Blob{}, nil, err
	}
	defer f.Close()
	h := jobs.NewBlobHasher()
	if _, err := io.Copy(h, f); err != nil {
		return jobs.Blob{}, nil, err
	}
	return h.Blob(), h.List(), nil
}

// count begins the account with what is on disk.
func (b *Blobs) count() error {
	b.acc = newAccount(b.s.o.Quota)
	err := b.each(nil, func(e located) error {
		b.acc.replace(0, e.size)
		return nil
	})
	if err != nil {
		return err
	}
	return b.s.scan(bucketHolds, nil, func(k, v []byte) error {
		owner, _, err := splitHoldKey(k)
		if err != nil {
			return err
		}
		h, err := decodeHold(v)
		b.acc.charge(owner, h.size)
		return err
	})
}
