package signer

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

const (
	// remoteCalls bounds the calls in flight. Whoever signs elsewhere has cores
	// of its own, and the way there takes time: more than the CPUs here.
	remoteCalls = 16
	// remoteBatch bounds the digests of one call. It is reached only when more
	// than remoteCalls times as many wait: short batches answer sooner.
	remoteBatch = 32
	// remoteTimeout bounds one call. It is made once.
	remoteTimeout = time.Second
	// remotePatience bounds how long a signature is waited for in all, so that a
	// caller hears of trouble elsewhere within a second and a half.
	remotePatience = 1400 * time.Millisecond
)

// errNoAnswer ends the wait for a signature from elsewhere.
var errNoAnswer = errors.New("no signature within " + playback.FormatDuration(remotePatience))

// remote is the lane of the keys that sign elsewhere (keystore.Signer). It has
// a queue of its own and goroutines that mostly wait, so that they compete with
// nobody for cores, and run at the priority of everything else.
type remote struct {
	pool  *Pool
	queue *queue
	pace  atomic.Int64 // nanoseconds that one signature takes one call, smoothed
}

// newRemote starts the lane. Closing its queue ends it; the pool waits for it.
func newRemote(p *Pool, limit int) *remote {
	r := &remote{pool: p, queue: newQueue(limit, remoteCalls)}
	r.pace.Store(firstPace)
	for range remoteCalls {
		p.running.Go(r.work)
	}
	return r
}

func (r *remote) work() {
	batch := make([]*job, 0, remoteBatch)
	for {
		clear(batch) // an idle goroutine keeps no key alive
		if batch = r.queue.take(batch[:0]); len(batch) == 0 {
			return
		}
		r.serve(batch)
		r.queue.leave(batch)
	}
}

// serve asks for the signatures of a batch: one call for each key, side by
// side.
func (r *remote) serve(batch []*job) {
	var calls sync.WaitGroup
	for _, jobs := range byKey(batch) {
		calls.Go(func() { r.call(jobs[0].key, jobs) })
	}
	calls.Wait()
}

func byKey(batch []*job) [][]*job {
	index := make(map[*admittedKey]int, 1)
	var groups [][]*job
	for _, j := range batch {
		i, ok := index[j.key]
		if !ok {
			i = len(groups)
			index[j.key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], j)
	}
	return groups
}

// call serves jobs of one key. A key that may not sign at this moment is not
// asked for.
func (r *remote) call(key *admittedKey, jobs []*job) {
	live := jobs[:0]
	for _, j := range jobs {
		if r.pool.ring.signing(j.env, key.keyName, j.ahead) != key {
			r.pool.finish(j, noActiveKey, nil)
			continue
		}
		live = append(live, j)
	}
	if len(live) == 0 {
		return
	}
	digests := make([][sha256.Size]byte, len(live))
	for i, j := range live {
		digests[i] = j.digest
	}
	begun := r.pool.now()
	signatures, err := signRemotely(key.remote, digests)
	each := r.pool.now().Sub(begun) / time.Duration(len(live))
	if err != nil {
		o := failed
		if _, ok := errors.AsType[*keystore.UnavailableError](err); ok {
			o = unavailable
		}
		for _, j := range live {
			r.pool.finish(j, o, fmt.Errorf("signing with key %s: %w", key.id, err))
		}
		return
	}
	old := r.pace.Load()
	r.pace.Store(old + (int64(each)-old)/16)
	for i, j := range live {
		j.signature = signatures[i]
		r.pool.metrics.observe(j.queued, begun, each)
		r.pool.finish(j, signed, nil)
	}
}

// signRemotely asks once, and believes nothing: a signature that does not
// verify under the key's public half is an error.
func signRemotely(s keystore.Signer, digests [][sha256.Size]byte) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), remoteTimeout)
	defer cancel()
	signatures, err := s.Sign(ctx, digests)
	if err != nil {
		return nil, err
	}
	if len(signatures) != len(digests) {
		return nil, fmt.Errorf("%s of %s", playback.Count(len(signatures), "signature", "signatures"), playback.Count(len(digests), "digest", "digests"))
	}
	for i, digest := range digests {
		if err := rsa.VerifyPKCS1v15(s.Public(), crypto.SHA256, digest[:], signatures[i]); err != nil {
			return nil, fmt.Errorf("a signature does not verify: %w", err)
		}
	}
	return signatures, nil
}

// drain estimates when what waits now will have been signed.
func (r *remote) drain() time.Duration {
	return time.Duration(int64(r.queue.backlog()) * r.pace.Load() / remoteCalls)
}

// admitRemote takes on a key that signs elsewhere. Nothing but a wrong
// signature refuses it: whoever signs may be away just now, and every signature
// is verified anyway.
func (r *Ring) admitRemote(name keyName, key *keystore.Key) (*admittedKey, error) {
	digest := sha256.Sum256([]byte("playgate: self-check of a signing key"))
	_, err := signRemotely(key.Remote, [][sha256.Size]byte{digest})
	if _, away := errors.AsType[*keystore.UnavailableError](err); away {
		r.log.Warn("a signing key was not checked: it could not be asked for a signature; it will sign when it can",
			slog.Any("key", key), slog.Any("error", err))
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", errSelfCheck, err)
	}
	return &admittedKey{keyName: name, remote: key.Remote, header: kidHeader(key.ID), size: key.Remote.Public().Size()}, nil
}

// unreachable is the error of a key that could not be asked to sign.
func unreachable(cause error) error {
	wait := time.Second
	if u, ok := errors.AsType[*keystore.UnavailableError](cause); ok {
		wait = max(wait, (u.RetryAfter + time.Second - 1).Truncate(time.Second))
	}
	return playback.Errorf(playback.CodeDependencyUnavailable, "The service that signs does not answer; try again later.").After(wait).Because(cause)
}
