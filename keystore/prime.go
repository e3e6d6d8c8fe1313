package keystore

import (
	"context"
	"crypto/rsa"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// primality is whether a key's primes are primes: found out once, for all copies
// of the key.
type primality struct {
	once sync.Once
	err  error
	done atomic.Bool
}

// errNotPrime is of a key that signs, perhaps even rightly, and is weak.
var errNotPrime = errors.New("is a broken RSA private key: one of its primes is none")

// checkPrimes looks at the primes, because crypto/rsa no longer does.
func checkPrimes(key *rsa.PrivateKey) error {
	for _, p := range key.Primes {
		if !p.ProbablyPrime(0) { // Baillie-PSW: no composite is known that passes
			return errNotPrime
		}
	}
	return nil
}

// checkPrimes returns why the key cannot be used. The first time it takes some
// milliseconds.
func (k *Key) checkPrimes() error {
	if k.primes == nil || k.Private == nil {
		return nil
	}
	k.primes.once.Do(func() {
		k.primes.err = checkPrimes(k.Private)
		k.primes.done.Store(true)
	})
	return k.primes.err
}

// primesChecked reports whether checkPrimes has been through, and what it found.
func (k *Key) primesChecked() (bool, error) {
	if k.primes == nil || k.Private == nil {
		return true, nil
	}
	if !k.primes.done.Load() {
		return false, nil
	}
	return true, k.primes.err
}

const (
	// checkedWhenRead is up to how many environments their keys' primes are looked
	// at before the keys are put in force. With more a start would take as long
	// again, so they are looked at afterwards, beside everything else; the signer's
	// self-check has found by then what cannot sign rightly.
	checkedWhenRead = 500
	// primePause is how long to rest after each look, as a multiple of what it took.
	primePause = 200
)

// checkRecords looks at the primes of what was read, if there are not too many
// environments for that.
func (w *Watcher) checkRecords(records []Record) {
	if len(*w.environments.Load()) > checkedWhenRead {
		return
	}
	for i := range records {
		_ = records[i].checkPrimes() // Assemble asks what was found
	}
}

// noteUncheckedLocked has an environment's keys looked at if they were not yet.
func (w *Watcher) noteUncheckedLocked(e *environment) {
	for _, key := range e.current().keys.Keys {
		if checked, _ := key.primesChecked(); !checked {
			w.unchecked = append(w.unchecked, e)
			return
		}
	}
}

// checkLater looks at the primes of keys that are in force already, one at a time,
// with a rest after each. An environment with a broken one is read again.
func (w *Watcher) checkLater(ctx context.Context) {
	timer := time.NewTimer(w.cfg.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		begun := w.cfg.Now()
		if w.checkNext(ctx) {
			timer.Reset(primePause * w.cfg.Now().Sub(begun))
		} else {
			timer.Reset(w.cfg.Interval)
		}
	}
}

// checkNext looks at the keys of one environment; false: there are none to look
// at.
func (w *Watcher) checkNext(ctx context.Context) bool {
	w.mu.Lock()
	if len(w.unchecked) == 0 {
		w.unchecked = nil
		w.mu.Unlock()
		return false
	}
	e := w.unchecked[0]
	w.unchecked = w.unchecked[1:]
	w.mu.Unlock()
	broken := false
	for _, key := range e.current().keys.Keys {
		broken = key.checkPrimes() != nil || broken
	}
	if broken {
		_ = w.refresh(ctx, e) // logged and counted where it happens
	}
	return true
}
