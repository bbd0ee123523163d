package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/shoalgrid/shoal/internal/store/boltfile"
)

// dbVersion is the layout of the database. A release that changes it migrates older ones.
const dbVersion = 1

const (
	bucketMeta = "meta"
	keyVersion = "version"
)

// openDatabase opens the database at path, or a fresh one where there is none that is
// whole. After a clean end only the file's length is checked, otherwise every page.
func openDatabase(path string, clean bool, o Options) (db *bolt.DB, fresh bool, err error) {
	switch err := checkDatabase(path, clean); {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		fresh = true
	case errors.Is(err, boltfile.ErrDamaged):
		if fresh, err = recoverDatabase(path, err, o); err != nil {
			return nil, false, err
		}
	default:
		return nil, false, fmt.Errorf("check database: %w", err)
	}
	if fresh {
		if err := createDatabase(path, o); err != nil {
			return nil, false, fmt.Errorf("make database: %w", err)
		}
	}
	if db, err = openBolt(path, o); err != nil {
		return nil, false, err
	}
	if err := checkVersion(db, path); err != nil {
		return nil, false, errors.Join(err, db.Close())
	}
	return db, fresh, nil
}

func openBolt(path string, o Options) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		// The home's lock is ours already: only a foreign tool could hold the file.
		Timeout:      time.Second,
		NoSync:       o.NoSync,
		NoGrowSync:   o.NoSync,
		FreelistType: bolt.FreelistMapType,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

func checkDatabase(path string, clean bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	metas, err := boltfile.Metas(f, size)
	if err != nil {
		return err
	}
	if clean {
		return metas[0].Fits(size)
	}
	return metas[0].Check(f, size)
}

// createDatabase makes an empty database under its name in one step, so that a kill in the
// middle leaves no half of one behind.
func createDatabase(path string, o Options) error {
	next := path + ".new"
	if err := remove(next); err != nil {
		return err
	}
	db, err := openBolt(next, o)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte(bucketMeta))
		if err != nil {
			return err
		}
		return b.Put([]byte(keyVersion), binary.BigEndian.AppendUint32(nil, dbVersion))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func checkVersion(db *bolt.DB, path string) error {
	return db.View(func(tx *bolt.Tx) error {
		var version []byte
		if b := tx.Bucket([]byte(bucketMeta)); b != nil {
			version = b.Get([]byte(keyVersion))
		}
		if len(version) != 4 {
			return fmt.Errorf("%s is not a database of shoal: it has no version", path)
		}
		if v := binary.BigEndian.Uint32(version); v > dbVersion {
			return &NewerError{File: path, Version: v, Known: dbVersion}
		}
		return nil
	})
}

// recoverDatabase moves a damaged database aside. If its last transaction but one is whole
// it goes on from there, otherwise fresh is true and nothing is left at path.
func recoverDatabase(path string, damage error, o Options) (fresh bool, err error) {
	aside, err := freeName(path + ".corrupt-" + o.Now().UTC().Format("20060102T150405Z"))
	if err != nil {
		return false, fmt.Errorf("move damaged database aside: %w", err)
	}
	if err := os.Rename(path, aside); err != nil {
		return false, fmt.Errorf("move damaged database aside: %w", err)
	}
	switch err := rollBack(aside, path); {
	case err == nil:
		o.Logger.Warn("database damaged, went back one transaction",
			"damage", damage, "file", path, "moved_to", aside)
		return false, nil
	case !errors.Is(err, boltfile.ErrDamaged):
		return false, fmt.Errorf("recover database: %w", err)
	}
	o.Logger.Error("database damaged, began a new one", "damage", damage, "file", path, "moved_to", aside)
	return true, nil
}

// freeName is name, or name with a number where that is taken.
func freeName(name string) (string, error) {
	for i := range 1000 {
		try := name
		if i > 0 {
			try = fmt.Sprintf("%s-%d", name, i)
		}
		if _, err := os.Lstat(try); errors.Is(err, fs.ErrNotExist) {
			return try, nil
		}
	}
	return "", fmt.Errorf("%s and 999 more names are taken", name)
}

// rollBack copies the database at from to path as it was before its last transaction.
func rollBack(from, path string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := in.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	metas, err := boltfile.Metas(in, size)
	if err != nil {
		return err
	}
	if len(metas) < 2 {
		return boltfile.ErrDamaged // the only meta is the one found damaged
	}
	if err := metas[1].Check(in, size); err != nil {
		return err
	}
	next := path + ".new"
	out, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.NewSectionReader(in, 0, size))
	err = errors.Join(err, metas[0].Drop(out), out.Sync(), out.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
