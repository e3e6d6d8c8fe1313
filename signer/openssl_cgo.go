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

// opensslKey is a key as EVP_PKEYs, one for each core: OpenSSL allows many
// threads to use one at once, but only the first to do so finds its blinding
// (rsa_ossl.c, rsa_get_blinding) without a lock and a slower path, which costs
// two signatures in a hundred (BenchmarkCopies). They are freed, and their
// private parts wiped (RSA_free), when nothing refers to the key any more;
// every use keeps it alive until the C call has returned.
type opensslKey struct {
	copies []unsafe.Pointer
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
	handle := &opensslKey{length: own.Size()}
	for range max(1, runtime.GOMAXPROCS(0)) {
		pkey := evpLoad(der)
		if pkey == nil {
			return nil, errors.New("libcrypto does not accept the key")
		}
		handle.copies = append(handle.copies, pkey)
		runtime.AddCleanup(handle, evpFree, pkey)
	}
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
	done = evpSign(k.copies, digests, signatures, k.length)
	runtime.KeepAlive(k)
	for i := range done {
		work[i].Signature = signatures[i*k.length : (i+1)*k.length : (i+1)*k.length]
	}
	return done
}
