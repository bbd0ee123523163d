//go:build never

package deps

import (
	_ "github.com/adrg/xdg"
	_ "github.com/dustin/go-humanize"
	_ "github.com/fxamacker/cbor/v2"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/ipfs/boxo/bitswap"
	_ "github.com/ipfs/boxo/bitswap/network/bsnet"
	_ "github.com/ipfs/go-datastore"
	_ "github.com/ipfs/go-ds-leveldb"
	_ "github.com/libp2p/go-libp2p"
	_ "github.com/libp2p/go-libp2p-kad-dht"
	_ "github.com/libp2p/go-libp2p-pubsub"
	_ "github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	_ "github.com/libp2p/go-libp2p/x/simlibp2p"
	_ "github.com/mr-tron/base58"
	_ "github.com/pelletier/go-toml/v2"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra"
	_ "github.com/tetratelabs/wazero"
	_ "go.etcd.io/bbolt"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "pgregory.net/rapid"
)
