package signer

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"runtime"

	"github.com/playgate/playgate/playback"
)

// goBackend is crypto/rsa.
type goBackend struct{}

func (goBackend) Name() string     { return BackendGo }
func (goBackend) Describe() string { return "crypto/rsa, " + runtime.Version() }
func (goBackend) Batch() int       { return 1 }

// Load returns a copy of the key with everything computed beforehand: without
// that, crypto/rsa would compute and check it at every signature.
func (goBackend) Load(key *rsa.PrivateKey) (Handle, error) { return precomputed(key) }

func (goBackend) Sign(work []Work) {
	for i := range work {
		w := &work[i]
		key, ok := w.Key.(*rsa.PrivateKey)
		if !ok {
			w.Err = errForeignHandle
			continue
		}
		begun := threadTime()
		w.Signature, w.Err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, w.Digest[:])
		w.Cost = threadTime() - begun
	}
	// A worker that is never idle would keep its P for 10 ms at a time, and
	// requests that need no signature would wait for it.
	runtime.Gosched()
}

// errForeignHandle is a bug: a key was loaded by one backend and given to
// another.
var errForeignHandle = errors.New("the key belongs to another backend")

// precomputed returns a validated copy of a two-prime key with its CRT values: at
// no cost where whoever read the key has computed them. It does not touch the key
// it was given, which others may be reading.
func precomputed(key *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if len(key.Primes) != 2 {
		return nil, fmt.Errorf("loading key: %s, want 2", playback.Count(len(key.Primes), "prime", "primes"))
	}
	own := *key
	own.Precompute() // looks whether what is there belongs to the key
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("loading key: %w", err)
	}
	return &own, nil
}
