package child

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

func reserve(size uint64) ([]byte, error) {
	addr, err := windows.VirtualAlloc(0, uintptr(size), windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return nil, err
	}
	// The address is of memory that the Go runtime does not know and never moves.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), size), nil
}

func commit(b []byte) error {
	_, err := windows.VirtualAlloc(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), windows.MEM_COMMIT, windows.PAGE_READWRITE)
	return err
}

// clean gives the pages back and takes fresh ones, which are zeros.
func clean(b []byte) error {
	if err := windows.VirtualFree(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), windows.MEM_DECOMMIT); err != nil {
		return err
	}
	return commit(b)
}
