//go:build !cgo || !linux

package signer

import "errors"

// openOpenSSL says why there is no OpenSSL in this program.
func openOpenSSL() (Backend, error) {
	return nil, errors.New("openssl cannot be used: this program was built without cgo")
}
