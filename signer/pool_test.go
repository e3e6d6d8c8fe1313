package signer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

func TestPoolSignsTokensThatVerify(t *testing.T) {
	t.Parallel()
	for name, backend := range backends(t) {
		for _, file := range []string{"rsa2048-1.pem", "rsa3072.pem", "rsa4096.pem"} {
			ring := newRing(t, backend, record{"K1", file, keystore.Active})
			pool := signer.NewPool(signer.Config{Ring: ring})
			t.Cleanup(pool.Stop)
			for _, kid := range []playback.KidPlacement{playback.KidClaim, playback.KidHeader, playback.KidBoth} {
				c := claims(t, ring)
				c.Kid = kid
				token, err := pool.Sign(t.Context(), c, playback.Turn{Caller: "u1"})
				if err != nil {
					t.Fatalf("%s, %s: Sign: %v", name, file, err)
				}
				if v := signer.Verify(token.Reveal(), ring.PublicKeys("acme"), now); !v.Valid {
					t.Errorf("%s, %s, kid %s: %s: %s", name, file, kid, v.Reason, v.Detail)
				}
			}
		}
	}
}

func TestAKeyThatIsNotActiveAnyMoreSignsNothingThatWaits(t *testing.T) {
	t.Parallel()
	for name, after := range map[string][]record{
		"withdrawn":                   {},
		"retired":                     {{"K1", "rsa2048-1.pem", keystore.Retired}, {"K2", "rsa2048-2.pem", keystore.Active}},
		"new material under its name": {{"K1", "rsa2048-2.pem", keystore.Active}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorkshop(t, 16)
				old := claims(t, w.ring)
				gate := w.backend.shut()
				begun, waits := w.sign(t.Context(), playback.Turn{}), w.sign(t.Context(), playback.Turn{Caller: "u1"})
				ahead := w.sign(t.Context(), playback.Turn{Ahead: true})
				close(gate)
				gate = w.backend.shut() // the one that was begun may end
				w.ring.Update(keystore.Snapshot{})
				w.backend.mu.Lock()
				w.backend.gate = nil // self-checks of the new keys pass
				w.backend.mu.Unlock()
				close(gate)
				w.ring.Update(snapshot(t, after...))
				w.running.Wait()
				for _, a := range []*answer{waits, ahead} {
					if a.err != nil && !errors.Is(a.err, playback.CodeNoActiveKey) {
						t.Errorf("a job that waited: %v, want no_active_key", a.err)
					}
				}
				if begun.err != nil {
					t.Errorf("the signature that had begun: %v", begun.err)
				}
				if _, err := w.pool.Sign(t.Context(), old, playback.Turn{}); !errors.Is(err, playback.CodeNoActiveKey) {
					t.Errorf("a new job under the old key: %v, want no_active_key", err)
				}
				w.stop()
			})
		})
	}
}

func TestPoolHoldsTheWallBetweenEnvironments(t *testing.T) {
	t.Parallel()
	ring := signer.NewRing(signer.RingConfig{Backend: goBackend(t)})
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{
		"acme":   {Keys: []*keystore.Key{keyOf(t, active)}},
		"globex": {Keys: []*keystore.Key{keyOf(t, record{"K2", "rsa2048-2.pem", keystore.Active})}},
	}))
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	c := claims(t, ring)
	for _, env := range []playback.EnvironmentID{"globex", "nobody", ""} {
		c.Environment = env
		if token, err := pool.Sign(t.Context(), c, playback.Turn{}); !errors.Is(err, playback.CodeNoActiveKey) || token.Len() != 0 {
			t.Errorf("%q signs with the key of acme: %v", env, err)
		}
	}
}

func TestABackendThatFailsFailsOnlyItsJobs(t *testing.T) {
	t.Parallel()
	backend := &slow{Backend: goBackend(t)}
	ring := newRing(t, backend, active)
	pool := signer.NewPool(signer.Config{Ring: ring, Concurrency: 1})
	t.Cleanup(pool.Stop)
	backend.mu.Lock()
	backend.panic = true
	backend.mu.Unlock()
	token, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{Caller: "u1"})
	if !errors.Is(err, playback.CodeInternalError) || !strings.Contains(err.Error(), "a bug in the backend") || token.Len() != 0 {
		t.Errorf("a backend that panics: %v", err)
	}
	backend.mu.Lock()
	backend.panic = false
	backend.mu.Unlock()
	if _, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{Caller: "u1"}); err != nil {
		t.Errorf("the next job: %v", err)
	}
	bad := claims(t, ring)
	bad.Params = playback.Params{{Name: "sub", JSON: `"PID2"`}}
	if _, err := pool.Sign(t.Context(), bad, playback.Turn{}); !errors.Is(err, playback.CodeInternalError) {
		t.Errorf("claims that cannot be encoded: %v", err)
	}
}

// TestStartedWorkIsDoneOrWithdrawn: what Start promises beside Sign.
func TestStartedWorkIsDoneOrWithdrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 8) // a caller's share is one place
		gate := w.backend.shut()
		begin := func(turn playback.Turn) playback.Signing {
			s, ok := w.pool.Start(claims(t, w.ring), turn)
			if !ok {
				t.Errorf("%+v was not started", turn)
			}
			return s
		}
		begun := begin(playback.Turn{Caller: "u1"})
		synctest.Wait() // the worker has it
		share := begin(playback.Turn{Caller: "u1"})
		if _, ok := w.pool.Start(claims(t, w.ring), playback.Turn{Caller: "u1", Patient: true}); ok {
			t.Error("work that has to wait for its place was started")
		}
		withdrawn := begin(playback.Turn{Caller: "u2"})
		withdrawn.Withdraw()
		waiting := begin(playback.Turn{Caller: "u3", Patient: true})
		close(gate)
		synctest.Wait()
		waiting.Withdraw() // too late
		w.pool.Stop()
		stopped := begin(playback.Turn{Caller: "u4"})
		for name, s := range map[string]playback.Signing{"share": share, "stopped": stopped, "withdrawn": withdrawn} {
			<-s.Done()
			if _, err := s.Result(); err == nil {
				t.Errorf("%s was not refused", name)
			} else if is, _ := overloaded(err); !is {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
			s.Withdraw()
		}
		for name, s := range map[string]playback.Signing{"begun": begun, "waiting": waiting} {
			<-s.Done()
			token, err := s.Result()
			if v := signer.Verify(token.Reveal(), w.ring.PublicKeys("acme"), now); err != nil || !v.Valid {
				t.Errorf("%s: %v, %s", name, err, v.Detail)
			}
		}
	})
}

func TestStopDrainsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 16)
		gate := w.backend.shut()
		var waits []*answer
		for range 5 {
			waits = append(waits, w.sign(t.Context(), playback.Turn{}))
		}
		ahead := w.sign(t.Context(), playback.Turn{Ahead: true})
		w.running.Go(w.pool.Stop)
		synctest.Wait()
		late := w.sign(t.Context(), playback.Turn{})
		for name, a := range map[string]*answer{"late": late, "ahead": ahead} {
			if is, _ := overloaded(a.err); !a.done || !is {
				t.Errorf("%s: %v, %v, want a refusal at once", name, a.done, a.err)
			}
		}
		close(gate)
		w.stop() // a second time
		for i, a := range waits {
			if a.err != nil {
				t.Errorf("answer %d: %v", i, a.err)
			}
		}
	})
}

func TestABackendIsGivenUpToABatchOfOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &workshop{t: t, backend: &slow{Backend: goBackend(t), batch: 99}, registry: prometheus.NewRegistry()}
		w.ring = newRing(t, w.backend, active)
		w.pool = signer.NewPool(signer.Config{Ring: w.ring, Concurrency: 1, Queue: 64})
		gate := w.backend.shut()
		var answers []*answer
		answers = append(answers, w.sign(t.Context(), playback.Turn{}))
		for range 11 {
			answers = append(answers, w.sign(t.Context(), playback.Turn{}))
		}
		answers = append(answers, w.sign(t.Context(), playback.Turn{Ahead: true}))
		close(gate)
		w.running.Wait()
		w.stop()
		if diff := cmp.Diff([]int{1, 8, 3, 1}, w.backend.signed()); diff != "" {
			t.Errorf("batches: (-want +got)\n%s", diff)
		}
		if i := slices.IndexFunc(answers, func(a *answer) bool { return a.err != nil }); i >= 0 {
			t.Errorf("answer %d: %v", i, answers[i].err)
		}
	})
}

func TestPoolUnderManyCallers(t *testing.T) {
	t.Parallel()
	backend := &slow{Backend: goBackend(t)}
	ring := newRing(t, backend, active, record{"K2", "rsa2048-2.pem", keystore.Prepared})
	pool := signer.NewPool(signer.Config{Ring: ring, Concurrency: 4, Queue: 32})
	rotated := snapshot(t, record{"K1", "rsa2048-1.pem", keystore.Retired}, record{"K2", "rsa2048-2.pem", keystore.Active})
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			turn := playback.Turn{Caller: string(rune('a' + i%16)), Patient: i%3 == 0, Ahead: i%7 == 0}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i)*time.Millisecond)
			defer cancel()
			for range 4 {
				id, thumbprint, _ := ring.Active("acme")
				c := &playback.Claims{Environment: "acme", Key: id, Thumbprint: thumbprint, Sub: "PID1", Aud: "v", Exp: now.Unix() + 9}
				token, err := pool.Sign(ctx, c, turn)
				is, _ := overloaded(err)
				if err != nil && !is && !errors.Is(err, playback.CodeNoActiveKey) {
					t.Errorf("Sign: %v", err)
				}
				if v := signer.Verify(token.Reveal(), ring.PublicKeys("acme"), now); err == nil && !v.Valid {
					t.Errorf("a token does not verify: %s", v.Detail)
				}
			}
		})
	}
	ring.Update(rotated)
	callers.Wait()
	pool.Stop()
}
