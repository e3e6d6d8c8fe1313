package signer

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// The values of the configuration's signer.backend.
const (
	BackendAuto    = "auto"
	BackendGo      = "go"
	BackendOpenSSL = "openssl"
)

// Backend computes RSASSA-PKCS1-v1_5 signatures with SHA-256 (RFC 8017 §8.2).
// Its methods may be called by many goroutines at once.
//
// A backend must check the result of its CRT computation against the public
// key before it gives it away, because one faulty signature reveals the
// private key (Boneh, DeMillo, Lipton 1997). Both of ours do: crypto/rsa
// returns an error (crypto/internal/fips140/rsa, decrypt with check), OpenSSL
// computes again without CRT (crypto/rsa/rsa_ossl.c, rsa_ossl_mod_exp). The
// pool therefore does not verify what it signed a second time.
type Backend interface {
	// Name returns the configuration's name of the backend.
	Name() string
	// Describe names the library and its version, for people.
	Describe() string
	// Batch returns how many signatures one call of Sign computes together
	// to advantage: 1, or up to 8 for a multi-buffer implementation.
	Batch() int
	// Load makes a key ready for use. The handle is freed when nothing
	// refers to it any more, so never while a signature is being computed.
	Load(key *rsa.PrivateKey) (Handle, error)
	// Sign leaves Signature and Cost, or Err, in each Work; at most Batch of them.
	Sign(work []Work)
}

// Handle is a key as its backend holds it.
type Handle any

// Work is one signature to be computed.
type Work struct {
	Key       Handle
	Digest    [sha256.Size]byte
	Signature []byte
	Cost      time.Duration // what it took of a core
	Err       error
}

// OpenBackend returns the backend of a configured name. BackendAuto takes
// OpenSSL if it can be loaded, agrees with crypto/rsa and is measured to be
// faster, else crypto/rsa; BackendOpenSSL is an error where it cannot be had.
// now measures; nil means time.Now.
func OpenBackend(name string, now func() time.Time) (Backend, error) {
	switch name {
	case BackendGo:
		return goBackend{}, nil
	case BackendOpenSSL:
		return openChecked()
	case BackendAuto, "":
		return choose(clock(now)), nil
	}
	return nil, fmt.Errorf("signer.backend %q: want auto, go or openssl", name)
}

// DescribeBackend says which backend a configured name gives on this machine,
// and why openssl is not it where that is so: for `playgate version`.
func DescribeBackend(name string) string {
	backend, err := OpenBackend(name, nil)
	if err != nil {
		return "none: " + err.Error()
	}
	text := backend.Name() + " (" + backend.Describe() + ")"
	if name == BackendOpenSSL || backend.Name() == BackendOpenSSL || name == BackendGo {
		return text
	}
	if _, err := openChecked(); err != nil {
		return text + "; " + err.Error()
	}
	return text + "; openssl is not faster here"
}

func openChecked() (Backend, error) {
	backend, err := openOpenSSL()
	if err != nil {
		return nil, fmt.Errorf("openssl cannot be used: %w", err)
	}
	key, err := yardstick()
	if err != nil {
		return nil, err
	}
	if _, err := admit(backend, key); err != nil {
		return nil, fmt.Errorf("openssl cannot be used: %w", err)
	}
	return backend, nil
}

func choose(now func() time.Time) Backend {
	backend, err := openChecked()
	if err != nil || pace(backend, now) >= pace(goBackend{}, now) {
		return goBackend{}
	}
	return backend
}

// pace measures the time of one signature: the best of several, because on a
// busy machine only the best one says something about the backend.
func pace(b Backend, now func() time.Time) time.Duration {
	const tries = 8
	key, err := yardstick()
	if err != nil {
		return time.Hour
	}
	handle, err := b.Load(key)
	if err != nil {
		return time.Hour
	}
	best := time.Hour
	work := []Work{{Key: handle}}
	for range tries {
		start := now()
		b.Sign(work)
		best = min(best, now().Sub(start))
	}
	return best
}

// errSelfCheck is why a key was not admitted although it was well-formed.
var errSelfCheck = errors.New("self-check failed")

// admit loads a key and proves that the backend can sign with it: the
// signature of a fixed digest verifies under the public key, and has the bytes
// that crypto/rsa computes (PKCS #1 v1.5 is deterministic). A backend or key
// that is wrong by one bit is found here and not by a player.
func admit(b Backend, key *rsa.PrivateKey) (Handle, error) {
	handle, err := b.Load(key)
	if err != nil {
		return nil, err
	}
	work := []Work{{Key: handle, Digest: sha256.Sum256([]byte("playgate: self-check of a signing key"))}}
	b.Sign(work)
	w := &work[0]
	if w.Err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errSelfCheck, b.Name(), w.Err)
	}
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, w.Digest[:], w.Signature); err != nil {
		return nil, fmt.Errorf("%w: the signature of %s does not verify: %w", errSelfCheck, b.Name(), err)
	}
	if b.Name() == BackendGo {
		return handle, nil
	}
	reference, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, w.Digest[:])
	if err != nil {
		return nil, fmt.Errorf("%w: crypto/rsa: %w", errSelfCheck, err)
	}
	if !bytes.Equal(reference, w.Signature) {
		return nil, fmt.Errorf("%w: %s and crypto/rsa disagree", errSelfCheck, b.Name())
	}
	return handle, nil
}

// clock returns now, or the system's clock when there is none.
func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now //nolint:forbidigo // the one default of this package
	}
	return now
}
