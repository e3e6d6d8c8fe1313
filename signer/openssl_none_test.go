//go:build !cgo || !linux

package signer_test

// cgo reports whether this program can load libcrypto.
const cgo = false
