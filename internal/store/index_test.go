package store

import (
	"bytes"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/jobs"
)

// Whatever decodes must encode to the same bytes: entries have one form.
func FuzzIndex(f *testing.F) {
	d := jobs.Sum([]byte("blob"))
	at := time.Unix(1_800_000_000, 0)
	f.Add(d[:], entry{whole, 5, at}.encode())
	f.Add(holdKey("owner/1", d), hold{at, 5}.encode())
	f.Add(heldByKey(d, "owner/1"), hold{at, 5}.encode())
	f.Add(blockKey(d, d), encodeBlock(7))
	f.Add([]byte{}, []byte{})
	f.Add(bytes.Repeat([]byte{0}, 64), bytes.Repeat([]byte{255}, 17))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		if e, err := decodeEntry(v); err == nil && !bytes.Equal(e.encode(), v) {
			t.Errorf("entry %x becomes %x", v, e.encode())
		}
		if h, err := decodeHold(v); err == nil && !bytes.Equal(h.encode(), v) {
			t.Errorf("hold %x becomes %x", v, h.encode())
		}
		if owner, d, err := splitHoldKey(k); err == nil && !bytes.Equal(holdKey(owner, d), k) {
			t.Errorf("key of a hold %x becomes %x", k, holdKey(owner, d))
		}
		if d, owner, err := splitHeldByKey(k); err == nil && !bytes.Equal(heldByKey(d, owner), k) {
			t.Errorf("key of a holder %x becomes %x", k, heldByKey(d, owner))
		}
		if blob, i, err := decodeBlock(k, v); err == nil &&
			(!bytes.Equal(blockKey(jobs.Digest(k[:digestLen]), blob), k) || !bytes.Equal(encodeBlock(int(i)), v)) {
			t.Errorf("block %x %x becomes %s %d", k, v, blob, i)
		}
		if list := joinDigests(blockDigests(k)); !bytes.Equal(list, k[:len(k)/digestLen*digestLen]) {
			t.Errorf("list %x becomes %x", k, list)
		}
	})
}

func TestBlockSize(t *testing.T) {
	for _, size := range sizes {
		var sum uint64
		for i := range (jobs.Blob{Size: uint64(size)}).Blocks() {
			sum += blockSize(uint64(size), i)
		}
		if sum != uint64(size) || blockSize(uint64(size), 9) != 0 {
			t.Errorf("blocks of %d bytes add up to %d", size, sum)
		}
	}
}
