package signer

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The values of the configuration's signer.backend.
const (
	BackendAuto        = "auto"
	BackendGo          = "go"
	BackendMultibuffer = "multibuffer"
	BackendOpenSSL     = "openssl"
)

// Backend computes RSASSA-PKCS1-v1_5 signatures with SHA-256 (RFC 8017 §8.2).
// Its methods may be called by many goroutines at once.
//
// A backend must check the result of its CRT computation against the public
// key before it gives it away, because one faulty signature reveals the
// private key (Boneh, DeMillo, Lipton 1997). All of ours do: crypto/rsa
// returns an error (crypto/internal/fips140/rsa, decrypt with check), OpenSSL
// computes again without CRT (crypto/rsa/rsa_ossl.c, rsa_ossl_mod_exp), package
// multibuffer has the public operation as a part of each batch. The pool
// therefore does not verify what it signed a second time.
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
	Healed    bool          // it was computed twice, because the first result was not good
	Err       error
}

// OpenBackend returns the backend of a configured name. BackendAuto takes the
// fastest, as measured, of those that can be had and agree with crypto/rsa;
// BackendOpenSSL and BackendMultibuffer are errors where they cannot be had.
// now measures; nil means time.Now.
func OpenBackend(name string, now func() time.Time) (Backend, error) {
	now = clock(now)
	switch name {
	case BackendGo:
		return goBackend{}, nil
	case BackendOpenSSL:
		return openChecked(openOpenSSL)
	case BackendMultibuffer:
		return openChecked(func() (Backend, error) { return openMultibuffer(now) })
	case BackendAuto, "":
		return choose(contenders(now)), nil
	}
	return nil, fmt.Errorf("signer.backend %q: want auto, multibuffer, openssl or go", name)
}

// DescribeBackend says which backend a configured name gives on this machine,
// and for auto why: for `playgate version`.
func DescribeBackend(name string) string {
	if name != BackendAuto && name != "" {
		backend, err := OpenBackend(name, nil)
		if err != nil {
			return "none: " + err.Error()
		}
		return backend.Name() + " (" + backend.Describe() + ")"
	}
	all := contenders(clock(nil))
	best := choose(all)
	reasons := make([]string, 0, len(all))
	for _, c := range all {
		reasons = append(reasons, c.String())
	}
	return best.Name() + " (" + best.Describe() + "); " + strings.Join(reasons, "; ")
}

// contender is a backend that auto may take, or why it may not.
type contender struct {
	name    string
	backend Backend
	pace    time.Duration // of a signature in a full batch
	err     error
}

func (c contender) String() string {
	if c.err != nil {
		return c.err.Error()
	}
	return fmt.Sprintf("%s takes %d µs a signature", c.name, c.pace.Microseconds())
}

// contenders measures every backend that this machine has.
func contenders(now func() time.Time) []contender {
	var all []contender
	for _, name := range [...]string{BackendGo, BackendOpenSSL, BackendMultibuffer} {
		backend, err := OpenBackend(name, now)
		c := contender{name: name, backend: backend, err: err}
		if err == nil {
			c.pace, c.err = pace(backend, backend.Batch(), now)
			c.pace /= time.Duration(backend.Batch())
		}
		all = append(all, c)
	}
	return all
}

// choose returns the fastest; of equals, the first.
func choose(all []contender) Backend {
	best := all[0] // Go's, which is always there
	for _, c := range all {
		if c.err == nil && c.pace < best.pace {
			best = c
		}
	}
	return best.backend
}

// openChecked opens a backend and has it sign with a known key.
func openChecked(open func() (Backend, error)) (Backend, error) {
	backend, err := open()
	if err != nil {
		return nil, err
	}
	key, err := yardstick()
	if err != nil {
		return nil, err
	}
	if _, err := admit(backend, key); err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", backend.Name(), err)
	}
	return backend, nil
}

// pace measures the time of n signatures together: the best of several, because
// on a busy machine only the best one says something about the backend. The error
// is that of a signature that failed, or did at first.
func pace(b Backend, n int, now func() time.Time) (time.Duration, error) {
	const tries = 6
	key, err := yardstick()
	if err != nil {
		return 0, err
	}
	handle, err := b.Load(key)
	if err != nil {
		return 0, err
	}
	best := time.Hour
	for range tries {
		work := make([]Work, n)
		for i := range work {
			work[i].Key = handle
		}
		start := now()
		b.Sign(work)
		best = min(best, now().Sub(start))
		for i := range work {
			if work[i].Err != nil || work[i].Healed {
				return 0, fmt.Errorf("%w: a signature of %s was wrong while it was measured", errSelfCheck, b.Name())
			}
		}
	}
	return best, nil
}

// laned is a backend that computes together what reaches a number, and passes on
// what does not.
type laned interface{ Least() int }

// least returns from how many signatures on a backend computes them together; 0
// if it never does.
func least(b Backend) int {
	if l, ok := b.(laned); ok {
		return l.Least()
	}
	return 0
}

// lanesOff returns whether a backend that computes together has ceased to, because
// of faults.
func lanesOff(b Backend) bool {
	l, ok := b.(interface{ Off() bool })
	return ok && l.Off()
}

// selfCheck is the digest that every key signs before it may sign anything else.
var selfCheck = sha256.Sum256([]byte("playgate: self-check of a signing key")) //nolint:gochecknoglobals // a constant

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
	reference, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, selfCheck[:])
	if err != nil {
		return nil, fmt.Errorf("%w: crypto/rsa: %w", errSelfCheck, err)
	}
	work := make([]Work, max(1, least(b))) // by the way that a batch takes
	for i := range work {
		work[i] = Work{Key: handle, Digest: selfCheck}
	}
	b.Sign(work)
	for i := range work {
		if err := check(b, &work[i], &key.PublicKey, reference); err != nil {
			return nil, err
		}
	}
	return handle, nil
}

func check(b Backend, w *Work, key *rsa.PublicKey, reference []byte) error {
	if w.Err != nil {
		return fmt.Errorf("%w: %s: %w", errSelfCheck, b.Name(), w.Err)
	}
	if w.Healed {
		return fmt.Errorf("%w: a first signature of %s was wrong", errSelfCheck, b.Name())
	}
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, w.Digest[:], w.Signature); err != nil {
		return fmt.Errorf("%w: the signature of %s does not verify: %w", errSelfCheck, b.Name(), err)
	}
	if !bytes.Equal(reference, w.Signature) {
		return fmt.Errorf("%w: %s and crypto/rsa disagree", errSelfCheck, b.Name())
	}
	return nil
}

// clock returns now, or the system's clock when there is none.
func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now //nolint:forbidigo // the one default of this package
	}
	return now
}
