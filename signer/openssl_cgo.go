//go:build cgo && linux

package signer

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/playgate/playgate/signer/multibuffer"
)

// opensslBackend is libcrypto 3, loaded at run time.
type opensslBackend struct {
	version string
	threads *threads
}

// opensslKey is a key as EVP_PKEYs, one for each core: OpenSSL allows many
// threads to use one at once, but only the first to do so finds its blinding
// (rsa_ossl.c, rsa_get_blinding) without a lock and a slower path, which costs
// two signatures in a hundred. They are freed, and their
// private parts wiped (RSA_free), when nothing refers to the key any more;
// every use keeps it alive until the C call has returned.
type opensslKey struct {
	copies *unsafe.Pointer // to an array in C's memory, by thread
	length int             // of a signature, bytes
}

func openOpenSSL() (Backend, error) {
	version, err := libcrypto()
	if err != nil {
		return nil, fmt.Errorf("openssl cannot be used: %w", err)
	}
	threads, err := signingThreads()
	if err != nil {
		return nil, fmt.Errorf("openssl cannot be used: %w", err)
	}
	return opensslBackend{version, threads}, nil
}

func (opensslBackend) Name() string       { return BackendOpenSSL }
func (b opensslBackend) Describe() string { return b.version }

// opensslBatch is how many signatures a thread computes at a time: enough to
// make the way to it and back cheap beside them, and few enough that nobody
// waits long for the last of them (2 ms). Batches of 8 made a tenth more than
// single signatures under load.
const opensslBatch = 8

func (opensslBackend) Batch() int { return opensslBatch }

func (b opensslBackend) Load(key *rsa.PrivateKey) (Handle, error) {
	own, err := precomputed(key)
	if err != nil {
		return nil, err
	}
	der := x509.MarshalPKCS1PrivateKey(own)
	defer clear(der)
	handle := &opensslKey{length: own.Size()}
	if handle.length > longestSignature {
		return nil, fmt.Errorf("keys of more than %d bits are not supported", 8*longestSignature)
	}
	var keys []unsafe.Pointer
	for i := range b.threads.number {
		var pkey unsafe.Pointer
		if i == 0 {
			pkey = evpLoad(der)
		} else { // reading it again would take fifty times as long
			pkey = evpCopy(keys[0])
		}
		if pkey == nil {
			return nil, errors.New("libcrypto does not accept the key")
		}
		keys = append(keys, pkey)
		runtime.AddCleanup(handle, evpFree, pkey)
	}
	handle.copies = evpCopies(keys)
	runtime.AddCleanup(handle, freeCopies, handle.copies)
	return handle, nil
}

// Threads returns how many threads of its own the backend signs on.
func (b opensslBackend) Threads() int { return b.threads.number }

// Sign computes runs of signatures with one key together, on a thread of the
// backend's own.
func (b opensslBackend) Sign(work []Work) {
	for len(work) > 0 {
		key, ok := work[0].Key.(*opensslKey)
		if !ok {
			work[0].Err = errForeignHandle
			work = work[1:]
			continue
		}
		run := 1
		for run < min(len(work), opensslBatch) && work[run].Key == work[0].Key {
			run++
		}
		done, each := b.threads.sign(key, work[:run])
		runtime.KeepAlive(key)
		for i := range done {
			work[i].Cost = each
		}
		if done < run {
			work[done].Err = fmt.Errorf("libcrypto could not sign with a key of %d bits", 8*key.length)
			done++
		}
		work = work[done:]
	}
}

// lanes returns a function that computes batches of lanes on the backend's threads.
func (b opensslBackend) lanes() func(*multibuffer.Batch) time.Duration { return b.threads.compute }
