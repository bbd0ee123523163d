package prepare

import "fmt"

// Refused says why a module cannot be prepared, and where.
type Refused struct {
	Section string // "type", "code", …
	Offset  int    // of the byte in the original module
	Reason  string
}

// Error implements error.
func (r *Refused) Error() string {
	return fmt.Sprintf("%s section, byte %d: %s", r.Section, r.Offset, r.Reason)
}
