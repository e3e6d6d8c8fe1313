//go:build cgo && linux

package signer

import (
	"crypto"
	"crypto/rsa"
	"math/big"
	"strconv"

	"github.com/golang-fips/openssl/v2"
	"github.com/golang-fips/openssl/v2/bbig"
)

// opensslBackend is libcrypto 3, loaded at run time. golang-fips/openssl keeps
// one EVP_PKEY per key, which OpenSSL allows many threads to use at once; it
// is freed (and its private parts wiped, RSA_free) by a finalizer, and every
// use keeps it alive until the C call returned.
type opensslBackend struct{ version string }

// openOpenSSL loads libcrypto. golang-fips/openssl aborts the process when a
// symbol is missing, which an OpenSSL built without some algorithm lacks; so
// probeLibcrypto looks at each candidate before it is handed over.
func openOpenSSL() (Backend, error) {
	name, err := probeLibcrypto()
	if err != nil {
		return nil, err
	}
	if err := openssl.Init(name); err != nil { // the first call counts, later ones repeat its answer
		return nil, err
	}
	return opensslBackend{openssl.VersionText()}, nil
}

func (opensslBackend) Name() string       { return BackendOpenSSL }
func (b opensslBackend) Describe() string { return b.version }
func (opensslBackend) Batch() int         { return 1 }

func (opensslBackend) Load(key *rsa.PrivateKey) (Handle, error) {
	own, err := precomputed(key)
	if err != nil {
		return nil, err
	}
	pre := &own.Precomputed
	handle, err := openssl.NewPrivateKeyRSA(
		bbig.Enc(own.N), bbig.Enc(big.NewInt(int64(own.E))), bbig.Enc(own.D),
		bbig.Enc(own.Primes[0]), bbig.Enc(own.Primes[1]),
		bbig.Enc(pre.Dp), bbig.Enc(pre.Dq), bbig.Enc(pre.Qinv),
	)
	if err != nil {
		return nil, opensslError{err}
	}
	return handle, nil
}

func (opensslBackend) Sign(work []Work) {
	for i := range work {
		w := &work[i]
		key, ok := w.Key.(*openssl.PrivateKeyRSA)
		if !ok {
			w.Err = errForeignHandle
			continue
		}
		signature, err := openssl.SignRSAPKCS1v15(key, crypto.SHA256, w.Digest[:])
		if err != nil {
			w.Err = opensslError{err}
			continue
		}
		w.Signature = signature
	}
}

// opensslError puts OpenSSL's error stack, which has many lines, on one.
type opensslError struct{ err error }

func (e opensslError) Error() string { return strconv.Quote(e.err.Error()) }
func (e opensslError) Unwrap() error { return e.err }
