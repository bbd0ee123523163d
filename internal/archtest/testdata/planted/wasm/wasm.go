package wasm

import (
	"github.com/libp2p/go-libp2p"
	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"
)

var _ = []any{libp2p.New, wazero.NewRuntime, unix.Kill}
