//go:build cgo

package jail

const cgo = true
