package signer

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/signer/multibuffer"
)

// lanesBackend is package multibuffer for RSA-2048, and a scalar backend for
// everything else: other keys, batches that are not worth it, lanes that failed.
type lanesBackend struct {
	scalar  Backend
	compute func(*multibuffer.Batch) time.Duration // returns what it cost of a core
	least   int                                    // signatures from which on a batch is worth it
	batches sync.Pool                              // of *multibuffer.Batch, wiped
	faults  atomic.Int64
}

// maxFaults ends the use of lanes for the life of the process: one fault may be a
// particle, two are a broken machine or a mistake of ours. A fault is a batch with
// lanes that failed, however many: what hits the program or a register hits
// several at once. A lane counts only if crypto/rsa, with the same numbers, makes the
// signature that it could not: else the key is to blame, and whoever brings one must
// not end the lanes of everybody.
const maxFaults = 2

// errUnsignable is the error of a signature that neither lanes nor the scalar
// backend could make.
var errUnsignable = errors.New("the key passed the self-check, but its signature of this message does not verify")

// threadedLanes is lanesBackend on the scalar backend's own threads.
type threadedLanes struct {
	*lanesBackend
	threaded
}

// lanesKey is a key as both backends hold it.
type lanesKey struct {
	lanes  *multibuffer.Key // nil: not for lanes
	scalar Handle
	judge  *rsa.PrivateKey // says whose fault it was if a lane failed
}

// openMultibuffer returns the backend with the lanes, behind it OpenSSL if it can
// be had, on whose threads the lanes are computed then, else crypto/rsa.
func openMultibuffer(now func() time.Time) (Backend, error) {
	if err := multibuffer.Supported(); err != nil {
		return nil, fmt.Errorf("multibuffer cannot be used: %w", err)
	}
	scalar, err := openChecked(openOpenSSL)
	if own, ok := scalar.(laneThreads); ok && err == nil {
		b := threadedLanes{newLanes(scalar, own.lanes()), own}
		return b, b.measure(b, now)
	}
	b := newLanes(goBackend{}, computeHere)
	return b, b.measure(b, now)
}

// laneThreads is a backend whose threads compute lanes, too.
type laneThreads interface {
	threaded
	lanes() func(*multibuffer.Batch) time.Duration
}

func newLanes(scalar Backend, compute func(*multibuffer.Batch) time.Duration) *lanesBackend {
	return &lanesBackend{
		scalar:  scalar,
		compute: compute,
		least:   1,
		batches: sync.Pool{New: func() any { return multibuffer.NewBatch() }},
	}
}

// computeHere computes a batch on the calling thread.
func computeHere(batch *multibuffer.Batch) time.Duration {
	begun := threadTime()
	batch.Compute()
	cost := threadTime() - begun
	runtime.Gosched() // as crypto/rsa's backend does
	return cost
}

// measure sets how many signatures the scalar backend makes in the time of a batch.
// The error is that of a lane that failed: such a processor is not for lanes.
func (b *lanesBackend) measure(whole Backend, now func() time.Time) error {
	batch, err := pace(whole, multibuffer.Lanes, now)
	if err != nil {
		return fmt.Errorf("multibuffer cannot be used: %w", err)
	}
	single, err := pace(b.scalar, 1, now)
	if err != nil {
		return fmt.Errorf("multibuffer cannot be used: %w", err)
	}
	b.least = int(min(multibuffer.Lanes, max(1, (batch+single-1)/max(1, single))))
	return nil
}

func (*lanesBackend) Name() string { return BackendMultibuffer }

func (b *lanesBackend) Describe() string {
	return fmt.Sprintf("%d lanes of AVX-512 IFMA, else %s", multibuffer.Lanes, b.scalar.Describe())
}

func (*lanesBackend) Batch() int { return multibuffer.Lanes }

// Least returns from how many signatures on they are computed in lanes.
func (b *lanesBackend) Least() int { return b.least }

// Load prepares a key for the scalar backend, and for the lanes if it suits them.
func (b *lanesBackend) Load(key *rsa.PrivateKey) (Handle, error) {
	own, err := precomputed(key)
	if err != nil {
		return nil, err
	}
	scalar, err := b.scalar.Load(own)
	if err != nil {
		return nil, err
	}
	k := &lanesKey{scalar: scalar, judge: own}
	if lanes, err := multibuffer.NewKey(own); err == nil { // else the scalar backend signs
		k.lanes = lanes
	}
	return k, nil
}

// Sign computes in lanes what it can, if it is enough, and the rest one by one.
func (b *lanesBackend) Sign(work []Work) {
	var lanes, rest [maxBatch]*Work
	inLanes, left := lanes[:0], rest[:0]
	for i := range work {
		w := &work[i]
		switch k, ok := w.Key.(*lanesKey); {
		case !ok:
			w.Err = errForeignHandle
		case k.lanes != nil && len(inLanes) < multibuffer.Lanes:
			inLanes = append(inLanes, w)
		default:
			left = append(left, w)
		}
	}
	if len(inLanes) < b.least || b.Off() {
		b.signSingly(append(left, inLanes...))
		return
	}
	failed := b.signTogether(inLanes)
	b.signSingly(append(left, failed...))
	b.heal(failed)
}

// Off returns whether faults have ended the use of lanes.
func (b *lanesBackend) Off() bool { return b.faults.Load() >= maxFaults }

// heal looks at what the scalar backend made where lanes failed, and counts a fault if
// it was theirs. OpenSSL does without the primes where they give no signature, and
// does not check what it makes then.
func (b *lanesBackend) heal(failed []*Work) {
	healed := false
	for _, w := range failed {
		key := w.Key.(*lanesKey).judge // Sign has looked
		if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, w.Digest[:]); err == nil {
			w.Healed, healed = true, true
		}
		if w.Err == nil && rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, w.Digest[:], w.Signature) != nil {
			w.Signature, w.Err = nil, errUnsignable
		}
	}
	if healed {
		b.faults.Add(1)
	}
}

// signTogether computes up to eight signatures in lanes, and returns those that
// have to be computed again.
func (b *lanesBackend) signTogether(work []*Work) []*Work {
	batch := b.batches.Get().(*multibuffer.Batch) // the pool holds nothing else
	defer b.batches.Put(batch)
	defer batch.Wipe()
	for lane, w := range work {
		batch.Set(lane, w.Key.(*lanesKey).lanes, &w.Digest) // Sign has looked
	}
	each := b.compute(batch) / time.Duration(len(work))
	var again []*Work
	for lane, w := range work {
		signature, err := batch.Result(lane)
		if err != nil {
			again = append(again, w)
			continue
		}
		w.Signature, w.Cost = signature, each
	}
	return again
}

// signSingly has the scalar backend sign.
func (b *lanesBackend) signSingly(work []*Work) {
	if len(work) == 0 {
		return
	}
	var room [maxBatch]Work
	singles := room[:0]
	for _, w := range work {
		singles = append(singles, Work{Key: w.Key.(*lanesKey).scalar, Digest: w.Digest}) // Sign has looked
	}
	b.scalar.Sign(singles)
	for i, w := range work {
		w.Signature, w.Cost, w.Err = singles[i].Signature, singles[i].Cost, singles[i].Err
	}
}
