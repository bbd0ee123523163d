//go:build never

package wasm

import _ "github.com/spf13/cobra"
