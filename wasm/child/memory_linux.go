package child

import "golang.org/x/sys/unix"

func reserve(size uint64) ([]byte, error) {
	return unix.Mmap(-1, 0, int(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
}

func commit(b []byte) error { return unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE) }

// clean gives the pages back; reading them again finds zeros (madvise(2), MADV_DONTNEED
// on private anonymous memory).
func clean(b []byte) error { return unix.Madvise(b, unix.MADV_DONTNEED) }
