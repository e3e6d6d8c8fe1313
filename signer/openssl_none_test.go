//go:build !cgo || !linux

package signer_test

import "crypto/rsa"

// cgo says whether this program can load libcrypto.
const cgo = false

// opensslVerifier has no OpenSSL to ask here.
func opensslVerifier() func(key *rsa.PublicKey, digest, signature []byte) error { return goVerify }
