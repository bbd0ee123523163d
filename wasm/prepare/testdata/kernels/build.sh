#!/bin/sh
# Builds the kernels for WASI and writes their digests. Debian 12: apt-get install clang-16 lld-16 wasi-libc libclang-rt-16-dev-wasm32
set -e
cd "$(dirname "$0")"
for c in *.c; do
	clang-16 --target=wasm32-wasi -O2 -s -o "${c%.c}.wasm" "$c"
done
sha256sum *.wasm >SHA256SUMS
