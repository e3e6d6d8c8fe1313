package signer_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// preparedClaims returns claims under the prepared key of acme.
func preparedClaims(t *testing.T, ring *signer.Ring) *playback.Claims {
	t.Helper()
	id, thumbprint, ok := ring.Prepared("acme")
	if !ok {
		t.Fatal("acme has no prepared key")
	}
	c := claims(t, ring)
	c.Key, c.Thumbprint = id, thumbprint
	return c
}

func TestPreparedIsTheKeyThatFollows(t *testing.T) {
	t.Parallel()
	soon, later := keyOf(t, record{"K3", "rsa2048-2.pem", keystore.Prepared}), keyOf(t, record{"K2", "rsa3072.pem", keystore.Prepared})
	soon.CreatedAt, later.CreatedAt = now, now.Add(time.Hour)
	for _, test := range []struct {
		name string
		keys []*keystore.Key
		want playback.KeyID
	}{
		{"none", []*keystore.Key{keyOf(t, active)}, ""},
		{"one", []*keystore.Key{keyOf(t, active), later}, "K2"},
		{"of two, the one that was made first", []*keystore.Key{keyOf(t, active), later, soon}, "K3"},
		{"a retired one follows nothing", []*keystore.Key{keyOf(t, active), keyOf(t, record{"K2", "rsa3072.pem", keystore.Retired})}, ""},
	} {
		ring := signer.NewRing(signer.RingConfig{Backend: goBackend(t)})
		ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": {Keys: test.keys}}))
		if id, _, ok := ring.Prepared("acme"); id != test.want || ok != (test.want != "") {
			t.Errorf("%s: Prepared = %q, %v, want %q", test.name, id, ok, test.want)
		}
		if id, _, ok := ring.Prepared("globex"); ok {
			t.Errorf("%s: globex has the prepared key %s", test.name, id)
		}
	}
}

func TestAPreparedKeyThatFailsItsSelfCheckIsNotPrepared(t *testing.T) {
	t.Parallel()
	backend := &faulty{Backend: goBackend(t)}
	good := keyOf(t, active)
	ring := signer.NewRing(signer.RingConfig{Backend: backend})
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": {Keys: []*keystore.Key{good}}}))
	backend.spoil = func(w *signer.Work) { w.Signature[17] ^= 1 }
	ring.Update(snapshot(t, active, record{"K2", "rsa2048-2.pem", keystore.Prepared}))
	if id, _, ok := ring.Prepared("acme"); ok {
		t.Errorf("Prepared = %s, want none", id)
	}
}

func TestAPreparedKeySignsAheadAndNothingElse(t *testing.T) {
	t.Parallel()
	ring := signer.NewRing(signer.RingConfig{Backend: goBackend(t)})
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{
		"acme":   {Keys: []*keystore.Key{keyOf(t, active), keyOf(t, record{"K2", "rsa2048-2.pem", keystore.Prepared})}},
		"globex": {Keys: []*keystore.Key{keyOf(t, active)}},
	}))
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	c := preparedClaims(t, ring)
	token, err := pool.Sign(t.Context(), c, playback.Turn{Ahead: true})
	if err != nil {
		t.Fatal(err)
	}
	if v := signer.Verify(token.Reveal(), ring.PublicKeys("acme"), now); !v.Valid {
		t.Errorf("what was signed ahead: %s: %s", v.Reason, v.Detail)
	}
	other, foreign := *c, *c
	other.Thumbprint[0] ^= 1
	foreign.Environment = "globex"
	for name, test := range map[string]struct {
		claims *playback.Claims
		turn   playback.Turn
	}{
		"a request":           {c, playback.Turn{Caller: "u1"}},
		"other material":      {&other, playback.Turn{Ahead: true}},
		"another environment": {&foreign, playback.Turn{Ahead: true}},
	} {
		if token, err := pool.Sign(t.Context(), test.claims, test.turn); !errors.Is(err, playback.CodeNoActiveKey) || token.Len() > 0 {
			t.Errorf("%s: %v, want no_active_key", name, err)
		}
	}
}

func TestAPreparedKeyThatIsWithdrawnSignsNothingThatWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after []record
		want  error
	}{
		"withdrawn": {[]record{active}, playback.CodeNoActiveKey},
		"replaced":  {[]record{active, {"K2", "rsa3072.pem", keystore.Prepared}}, playback.CodeNoActiveKey},
		"retired":   {[]record{active, {"K2", "rsa2048-2.pem", keystore.Retired}}, playback.CodeNoActiveKey},
		"activated": {[]record{{"K1", "rsa2048-1.pem", keystore.Retired}, {"K2", "rsa2048-2.pem", keystore.Active}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorkshop(t, 16)
				w.ring.Update(snapshot(t, active, record{"K2", "rsa2048-2.pem", keystore.Prepared}))
				c := preparedClaims(t, w.ring)
				gate := w.backend.shut()
				w.sign(t.Context(), playback.Turn{}) // keeps the worker busy
				var err error
				w.running.Go(func() { _, err = w.pool.Sign(t.Context(), c, playback.Turn{Ahead: true}) })
				synctest.Wait()
				w.backend.mu.Lock()
				w.backend.gate = nil // self-checks of new keys pass
				w.backend.mu.Unlock()
				w.ring.Update(snapshot(t, test.after...))
				close(gate)
				w.running.Wait()
				w.stop()
				if !errors.Is(err, test.want) {
					t.Errorf("what waited: %v, want %v", err, test.want)
				}
			})
		})
	}
}
