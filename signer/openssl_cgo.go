//go:build cgo && linux

package signer

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// opensslBackend is libcrypto 3, loaded at run time.
type opensslBackend struct{ version string }

// opensslKey is one EVP_PKEY, which OpenSSL allows many threads to use at once
// (each has a context of its own). It is freed, and its private parts wiped
// (RSA_free), when nothing refers to it any more; every use keeps it alive
// until the C call has returned.
type opensslKey struct {
	pkey   unsafe.Pointer
	length int // of a signature, bytes
}

func openOpenSSL() (Backend, error) {
	version, err := libcrypto()
	if err != nil {
		return nil, err
	}
	return opensslBackend{version}, nil
}

func (opensslBackend) Name() string       { return BackendOpenSSL }
func (b opensslBackend) Describe() string { return b.version }

// opensslBatch is how many signatures one call from Go computes: enough to
// make the way between Go and C, and back to a worker's thread, cheap beside
// them, and few enough that nobody waits long for the last of them (2 ms). One
// batch of 8 at a time made a tenth more than single signatures under load.
const opensslBatch = 8

func (opensslBackend) Batch() int { return opensslBatch }

func (opensslBackend) Load(key *rsa.PrivateKey) (Handle, error) {
	own, err := precomputed(key)
	if err != nil {
		return nil, err
	}
	der := x509.MarshalPKCS1PrivateKey(own)
	defer clear(der)
	pkey := evpLoad(der)
	if pkey == nil {
		return nil, errors.New("libcrypto does not accept the key")
	}
	handle := &opensslKey{pkey, own.Size()}
	runtime.AddCleanup(handle, evpFree, pkey)
	return handle, nil
}

// Sign computes runs of signatures with one key together.
func (opensslBackend) Sign(work []Work) {
	for len(work) > 0 {
		key, ok := work[0].Key.(*opensslKey)
		if !ok {
			work[0].Err = errForeignHandle
			work = work[1:]
			continue
		}
		run := 1
		for run < len(work) && work[run].Key == work[0].Key {
			run++
		}
		done := key.sign(work[:run])
		if done < run {
			work[done].Err = fmt.Errorf("libcrypto could not sign with a key of %d bits", 8*key.length)
			done++
		}
		work = work[done:]
	}
}

// sign signs what it is given with the key, up to the first that fails.
func (k *opensslKey) sign(work []Work) (done int) {
	digests := make([]byte, 0, maxBatch*sha256.Size)
	for i := range work {
		digests = append(digests, work[i].Digest[:]...)
	}
	signatures := make([]byte, len(work)*k.length)
	done = evpSign(k.pkey, digests, signatures, k.length)
	runtime.KeepAlive(k)
	for i := range done {
		work[i].Signature = signatures[i*k.length : (i+1)*k.length : (i+1)*k.length]
	}
	return done
}
