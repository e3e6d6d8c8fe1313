package signer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// elsewhere signs with a key that the pool does not have.
type elsewhere struct {
	private *rsa.PrivateKey

	mu    sync.Mutex // guards what follows
	calls []int      // digests of each
	gate  chan struct{}
	err   error
	spoil func([][]byte) [][]byte
}

func (e *elsewhere) Public() *rsa.PublicKey { return &e.private.PublicKey }

func (e *elsewhere) Sign(ctx context.Context, digests [][sha256.Size]byte) ([][]byte, error) {
	e.mu.Lock()
	e.calls = append(e.calls, len(digests))
	gate, err, spoil := e.gate, e.err, e.spoil
	e.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, &keystore.UnavailableError{Err: ctx.Err()}
		}
	}
	if err != nil {
		return nil, err
	}
	signatures := make([][]byte, len(digests))
	for i, digest := range digests {
		if signatures[i], err = rsa.SignPKCS1v15(nil, e.private, crypto.SHA256, digest[:]); err != nil {
			return nil, err
		}
	}
	if spoil != nil {
		signatures = spoil(signatures)
	}
	return signatures, nil
}

// set changes how it answers.
func (e *elsewhere) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// shut makes calls wait until the gate is closed.
func (e *elsewhere) shut() chan struct{} {
	gate := make(chan struct{})
	e.set(func() { e.gate = gate })
	return gate
}

func (e *elsewhere) key(id playback.KeyID, state keystore.State) *keystore.Key {
	return &keystore.Key{ID: id, State: state, Remote: e, Thumbprint: keystore.ThumbprintOf(e.Public()), Origin: "elsewhere"}
}

func remoteSnapshot(keys ...*keystore.Key) keystore.Snapshot {
	return keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": {Keys: keys}})
}

// newRemote returns a pool whose only key signs elsewhere.
func newRemote(t *testing.T) (*elsewhere, *signer.Ring, *signer.Pool) {
	t.Helper()
	e := &elsewhere{private: testKey(t, "rsa2048-1.pem")}
	ring := signer.NewRing(signer.RingConfig{Backend: goBackend(t)})
	ring.Update(remoteSnapshot(e.key("K1", keystore.Active)))
	pool := signer.NewPool(signer.Config{Ring: ring, Concurrency: 1})
	t.Cleanup(pool.Stop)
	return e, ring, pool
}

func TestAKeyElsewhereSignsTokensThatVerify(t *testing.T) {
	t.Parallel()
	_, ring, pool := newRemote(t)
	token, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{Caller: "u1"})
	if err != nil {
		t.Fatal(err)
	}
	document, _, _ := ring.JWKS("acme")
	published, err := signer.ParseJWKS(document)
	if err != nil {
		t.Fatal(err)
	}
	if v := signer.Verify(token.Reveal(), published, now); !v.Valid {
		t.Errorf("%s: %s", v.Reason, v.Detail)
	}
}

func TestSignaturesFromElsewhereAreAskedForTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, ring, pool := newRemote(t)
		e.set(func() { e.calls = nil })
		gate := e.shut()
		const jobs = 200
		tokens := make([]playback.Token, jobs)
		var running sync.WaitGroup
		for i := range jobs {
			c := claims(t, ring)
			c.Exp += int64(i)
			running.Go(func() {
				var err error
				if tokens[i], err = pool.Sign(t.Context(), c, playback.Turn{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := len(e.calls); n != 16 {
			t.Errorf("%d calls in flight, want 16", n)
		}
		close(gate)
		running.Wait()
		if n := len(e.calls); n > 16+jobs/4 {
			t.Errorf("%d calls for %d signatures", n, jobs)
		}
		for _, n := range e.calls {
			if n > 32 {
				t.Errorf("a call of %d digests", n)
			}
		}
		for i, token := range tokens {
			if v := signer.Verify(token.Reveal(), ring.PublicKeys("acme"), now); !v.Valid || expOf(v) != fmt.Sprint(now.Unix()+900+int64(i)) {
				t.Errorf("token %d: %s: %s", i, v.Reason, v.Detail)
			}
		}
		pool.Stop()
	})
}

func expOf(v signer.Verdict) string {
	for _, claim := range v.Token.Claims {
		if claim.Name == "exp" {
			return string(claim.Value)
		}
	}
	return ""
}

func TestKeysElsewhereAreNotMixed(t *testing.T) {
	t.Parallel()
	a, b := &elsewhere{private: testKey(t, "rsa2048-1.pem")}, &elsewhere{private: testKey(t, "rsa2048-2.pem")}
	ring := signer.NewRing(signer.RingConfig{Backend: goBackend(t)})
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{
		"acme": {Keys: []*keystore.Key{a.key("K1", keystore.Active)}}, "globex": {Keys: []*keystore.Key{b.key("K2", keystore.Active)}},
	}))
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	var running sync.WaitGroup
	for i := range 100 {
		env := playback.EnvironmentID([...]string{"acme", "globex"}[i%2])
		running.Go(func() {
			id, thumbprint, _ := ring.Active(env)
			c := &playback.Claims{Environment: env, Key: id, Thumbprint: thumbprint, Kid: playback.KidClaim, Sub: "PID1", Aud: "v", Exp: now.Unix() + 900 + int64(i)}
			token, err := pool.Sign(t.Context(), c, playback.Turn{})
			if err != nil {
				t.Error(err)
			} else if v := signer.Verify(token.Reveal(), ring.PublicKeys(env), now); !v.Valid {
				t.Errorf("%s: %s: %s", env, v.Reason, v.Detail)
			}
		})
	}
	running.Wait()
}

func TestWhoSignsElsewhereMayFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		spoil func([][]byte) [][]byte
		code  playback.Code
		wait  time.Duration
	}{
		{"away", &keystore.UnavailableError{Err: errors.New("away")}, nil, playback.CodeDependencyUnavailable, time.Second},
		{"away for a while", &keystore.UnavailableError{RetryAfter: 2500 * time.Millisecond, Err: errors.New("away")}, nil, playback.CodeDependencyUnavailable, 3 * time.Second},
		{"broken", errors.New("broken"), nil, playback.CodeInternalError, 0},
		{"wrong", nil, func(s [][]byte) [][]byte { s[0][9] ^= 1; return s }, playback.CodeInternalError, 0},
		{"too short", nil, func([][]byte) [][]byte { return [][]byte{nil} }, playback.CodeInternalError, 0},
		{"too few", nil, func([][]byte) [][]byte { return nil }, playback.CodeInternalError, 0},
		{"too many", nil, func(s [][]byte) [][]byte { return append(s, s...) }, playback.CodeInternalError, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, ring, pool := newRemote(t)
			e.set(func() { e.err, e.spoil = c.err, c.spoil })
			token, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{Caller: "u1"})
			var coded *playback.Error
			if !errors.Is(err, c.code) || !errors.As(err, &coded) || coded.RetryAfter != c.wait || token.Len() != 0 {
				t.Fatalf("Sign = %v, want %s after %s", err, c.code, c.wait)
			}
			if strings.Contains(coded.Message, "K1") || !strings.Contains(err.Error(), "K1") {
				t.Errorf("public %q, whole %q: only the latter names the key", coded.Message, err)
			}
			e.set(func() { e.err, e.spoil = nil, nil })
			if _, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{Caller: "u1"}); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// However many wait: nobody longer than a second and a half.
func TestSilenceElsewhereIsHeardInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, ring, pool := newRemote(t)
		e.shut()
		begun := time.Now()
		var running sync.WaitGroup
		for range 500 {
			running.Go(func() {
				_, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{})
				var coded *playback.Error
				if !errors.As(err, &coded) || coded.RetryAfter <= 0 || !errors.Is(err, playback.CodeDependencyUnavailable) && !errors.Is(err, playback.CodeSigningOverloaded) {
					t.Errorf("Sign = %v, want 503 with Retry-After", err)
				}
			})
		}
		running.Wait()
		if waited := time.Since(begun); waited >= 1500*time.Millisecond {
			t.Errorf("the last one waited %s", waited)
		}
		pool.Stop()
	})
}

func TestAKeyElsewhereThatIsWithdrawnSignsNothingThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, ring, pool := newRemote(t)
		e.set(func() { e.calls = nil })
		gate := e.shut()
		var running sync.WaitGroup
		withdrawn := 0
		var mu sync.Mutex
		for range 100 {
			running.Go(func() {
				if _, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{}); errors.Is(err, playback.CodeNoActiveKey) {
					mu.Lock()
					defer mu.Unlock()
					withdrawn++
				}
			})
		}
		synctest.Wait()
		begun := 0
		for _, n := range e.calls {
			begun += n
		}
		ring.Update(keystore.Snapshot{})
		close(gate)
		running.Wait()
		if withdrawn != 100-begun || begun == 100 {
			t.Errorf("%d of 100 had begun, %d were refused, want all others", begun, withdrawn)
		}
		pool.Stop()
	})
}

func TestTheSelfCheckOfAKeyElsewhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		spoil func([][]byte) [][]byte
		signs bool
		log   string
	}{
		{"good", nil, nil, true, ""},
		{"away", &keystore.UnavailableError{Err: errors.New("away")}, nil, true, "was not checked"},
		{"wrong", nil, func(s [][]byte) [][]byte { s[0][9] ^= 1; return s }, false, "self-check failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := &elsewhere{private: testKey(t, "rsa2048-1.pem"), err: c.err, spoil: c.spoil}
			var log bytes.Buffer
			ring := signer.NewRing(signer.RingConfig{Backend: goBackend(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
			ring.Update(remoteSnapshot(e.key("K1", keystore.Active)))
			if _, _, ok := ring.Active("acme"); ok != c.signs {
				t.Errorf("the key signs: %v, want %v", ok, c.signs)
			}
			if !strings.Contains(log.String(), c.log) || c.log == "" && log.Len() > 0 {
				t.Errorf("log %q, want %q", log.String(), c.log)
			}
			if body, _, _ := ring.JWKS("acme"); !bytes.Contains(body, []byte(`"K1"`)) {
				t.Errorf("it is not published: %s", body)
			}
			ring.Update(remoteSnapshot(e.key("K1", keystore.Active), e.key("K2", keystore.Retired)))
			if n := len(e.calls); c.signs && n != 1 {
				t.Errorf("%d calls, want one check", n)
			}
		})
	}
}
