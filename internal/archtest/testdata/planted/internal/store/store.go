// The store, but not said so.
package store

import (
	"github.com/shoalgrid/shoal/internal/identity"
	"github.com/shoalgrid/shoal/internal/store/boltfile"
)

var _ = []any{identity.Open, boltfile.Metas}
