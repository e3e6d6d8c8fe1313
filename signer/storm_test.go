package signer_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// While batches are computed, keys are made, rotated and withdrawn, callers give up,
// the queue is full, memory is collected and the pool stops: a token that is given
// is always good, and everybody gets an answer.
func TestBatchesUnderWayBearEverything(t *testing.T) {
	t.Parallel()
	for name, backend := range backends(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storm(t, backend)
		})
	}
}

func storm(t *testing.T, backend signer.Backend) {
	t.Helper()
	snapshots := []keystore.Snapshot{
		snapshot(t, active, record{"K2", "rsa2048-2.pem", keystore.Prepared}, record{"K3", "rsa3072.pem", keystore.Retired}),
		snapshot(t, record{"K1", "rsa2048-1.pem", keystore.Retired}, record{"K2", "rsa2048-2.pem", keystore.Active}),
		snapshot(t, record{"K2", "rsa2048-2.pem", keystore.Retired}, record{"K3", "rsa3072.pem", keystore.Active}),
		snapshot(t, record{"K4", "rsa2048-1.pem", keystore.Active}),
		snapshot(t),
	}
	ring := signer.NewRing(signer.RingConfig{Backend: backend})
	ring.Update(snapshots[0])
	pool := signer.NewPool(signer.Config{Ring: ring, Queue: 24})
	var signed, refused atomic.Int64
	var over atomic.Bool
	enough := make(chan struct{})
	var rotating, asking sync.WaitGroup
	rotating.Go(func() {
		for i := 0; !over.Load(); i++ {
			ring.Update(snapshots[i%len(snapshots)])
			runtime.GC()
		}
	})
	for range 32 {
		asking.Go(func() {
			for !over.Load() {
				if !ask(t, ring, pool) {
					refused.Add(1)
					runtime.Gosched()
				} else if signed.Add(1) == 300 {
					close(enough)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(time.Minute):
		t.Errorf("%d tokens were signed, %d refused", signed.Load(), refused.Load())
	}
	pool.Stop() // with batches under way
	over.Store(true)
	asking.Wait()
	rotating.Wait()
}

// ask has a token signed in one way or another, and returns whether it was.
func ask(t *testing.T, ring *signer.Ring, pool *signer.Pool) bool {
	t.Helper()
	id, thumbprint, ok := ring.Active("acme")
	if !ok {
		return false
	}
	keys := ring.PublicKeys("acme") // K1 and K4 are one key
	c := &playback.Claims{Environment: "acme", Key: id, Thumbprint: thumbprint, Kid: playback.KidClaim, Sub: "PID1", Aud: "v", Exp: now.Unix() + 900 + rand.Int64N(1000)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	if rand.IntN(4) == 0 {
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), time.Duration(rand.IntN(3000))*time.Microsecond)
	}
	defer cancel()
	token, err := pool.Sign(ctx, c, playback.Turn{Ahead: rand.IntN(3) == 0, Caller: []string{"", "a", "b"}[rand.IntN(3)], Patient: rand.IntN(2) == 0})
	if err != nil {
		var e *playback.Error
		if !errors.As(err, &e) || e.Code != playback.CodeSigningOverloaded && e.Code != playback.CodeNoActiveKey {
			t.Errorf("Sign: %v", err)
		}
		return false
	}
	if key := keys[id]; key != nil {
		if verdict := signer.Verify(token.Reveal(), signer.PublicKeys{id: key}, now); !verdict.Valid {
			t.Errorf("a token is not valid: %s", verdict.Detail)
		}
	}
	return true
}
