package signer_test

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// faulty is crypto/rsa with something wrong.
type faulty struct {
	signer.Backend
	load  error
	spoil func(*signer.Work)
	signs atomic.Int64
}

func (*faulty) Name() string { return "faulty" }

func (f *faulty) Load(key *rsa.PrivateKey) (signer.Handle, error) {
	if f.load != nil {
		return nil, f.load
	}
	return f.Backend.Load(key)
}

func (f *faulty) Sign(work []signer.Work) {
	f.signs.Add(int64(len(work)))
	f.Backend.Sign(work)
	for i := range work {
		if f.spoil != nil {
			f.spoil(&work[i])
		}
	}
}

func TestRingNeverActivatesAKeyThatFailsTheSelfCheck(t *testing.T) {
	t.Parallel()
	other := testKey(t, "rsa2048-2.pem")
	for _, test := range []struct {
		name    string
		backend *faulty
		want    string
	}{
		{"it cannot be loaded", &faulty{load: errors.New("no room")}, "no room"},
		{"signing fails", &faulty{spoil: func(w *signer.Work) { w.Err = errors.New("no luck") }}, "no luck"},
		{"one bit of the signature is wrong", &faulty{spoil: func(w *signer.Work) { w.Signature[17] ^= 1 }}, "does not verify"},
		{"another key signed", &faulty{spoil: func(w *signer.Work) {
			work := []signer.Work{{Key: other, Digest: w.Digest}}
			goBackend(t).Sign(work)
			w.Signature = work[0].Signature
		}}, "does not verify"},
		{"nothing comes back", &faulty{spoil: func(w *signer.Work) { w.Signature = nil }}, "does not verify"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.backend.Backend = goBackend(t)
			var log bytes.Buffer
			registry := prometheus.NewRegistry()
			ring := signer.NewRing(signer.RingConfig{
				Backend: test.backend, Logger: slog.New(slog.NewTextHandler(&log, nil)), Registerer: registry,
			})
			ring.Update(snapshot(t, active))
			if id, _, ok := ring.Active("acme"); ok {
				t.Errorf("Active = %s, want none", id)
			}
			if !strings.Contains(log.String(), test.want) || !strings.Contains(log.String(), "K1") {
				t.Errorf("the log does not say why: %s", log.String())
			}
			if got := metric(t, registry, "playgate_signing_keys_refused_total"); got != 1 {
				t.Errorf("counted %v refused keys, want 1", got)
			}
		})
	}
}

func TestRingAdmitsEachKeyOnce(t *testing.T) {
	t.Parallel()
	backend := &faulty{Backend: goBackend(t)}
	ring := newRing(t, backend, active, record{"K2", "rsa2048-2.pem", keystore.Prepared})
	if got := backend.signs.Load(); got != 2 {
		t.Fatalf("%d self-checks for an active and a prepared key, want 2", got)
	}
	ring.Update(snapshot(t, record{"K1", "rsa2048-1.pem", keystore.Retired}, record{"K2", "rsa2048-2.pem", keystore.Active}))
	if got := backend.signs.Load(); got != 2 {
		t.Errorf("activating a prepared key checked it again: %d self-checks", got)
	}
	if id, _, _ := ring.Active("acme"); id != "K2" {
		t.Errorf("Active = %s, want K2", id)
	}
	ring.Update(snapshot(t, record{"K2", "rsa3072.pem", keystore.Active}))
	if got := backend.signs.Load(); got != 3 {
		t.Errorf("new material under a known ID: %d self-checks in all, want 3", got)
	}
	ring.Update(snapshot(t, active))
	if got := backend.signs.Load(); got != 4 {
		t.Errorf("a key that was gone came back: %d self-checks in all, want 4", got)
	}
}

func TestRingKeepsEnvironmentsApart(t *testing.T) {
	t.Parallel()
	one, two := keyOf(t, active), keyOf(t, record{"K1", "rsa2048-2.pem", keystore.Active})
	ring := signer.NewRing(signer.RingConfig{Backend: goBackend(t)})
	if _, _, ok := ring.Active("acme"); ok {
		t.Error("a new ring has an active key")
	}
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{
		"acme": {Keys: []*keystore.Key{one}}, "globex": {Keys: []*keystore.Key{two}}, "empty": {},
	}))
	for env, want := range map[playback.EnvironmentID]playback.Thumbprint{"acme": one.Thumbprint, "globex": two.Thumbprint} {
		if id, got, ok := ring.Active(env); !ok || id != "K1" || got != want {
			t.Errorf("Active(%s) = %s, %x, %v, want K1, %x", env, id, got, ok, want)
		}
	}
	for _, env := range []playback.EnvironmentID{"empty", "nobody"} {
		if id, _, ok := ring.Active(env); ok {
			t.Errorf("Active(%s) = %s, want none", env, id)
		}
	}
	ring.Update(keystore.Snapshot{})
	if _, _, ok := ring.Active("acme"); ok {
		t.Error("acme signs although its keys were withdrawn")
	}
	if _, _, ok := ring.JWKS("acme"); ok {
		t.Error("acme publishes although it is gone")
	}
}

func TestJWKSPublishesPreparedActiveAndRetiredKeys(t *testing.T) {
	t.Parallel()
	ring := newRing(t, goBackend(t), active,
		record{"K2", "rsa2048-2.pem", keystore.Prepared}, record{"K3", "rsa3072.pem", keystore.Retired})
	body, etag, ok := ring.JWKS("acme")
	if !ok {
		t.Fatal("acme has no key set")
	}
	set, err := jwk.Parse(body)
	if err != nil {
		t.Fatalf("jwx refuses %s: %v", body, err)
	}
	type key struct{ ID, Type, Algorithm, Use string }
	var got []key
	for i := range set.Len() {
		k, _ := set.Key(i)
		got = append(got, key{k.KeyID(), k.KeyType().String(), k.Algorithm().String(), k.KeyUsage()})
	}
	if diff := cmp.Diff([]key{{"K1", "RSA", "RS256", "sig"}, {"K2", "RSA", "RS256", "sig"}, {"K3", "RSA", "RS256", "sig"}}, got); diff != "" {
		t.Errorf("key set: (-want +got)\n%s", diff)
	}
	keys, err := signer.ParseJWKS(body)
	if err != nil {
		t.Fatal(err)
	}
	for id, file := range map[playback.KeyID]string{"K1": "rsa2048-1.pem", "K2": "rsa2048-2.pem", "K3": "rsa3072.pem"} {
		if private := testKey(t, file); !private.PublicKey.Equal(keys[id]) || !private.PublicKey.Equal(ring.PublicKeys("acme")[id]) {
			t.Errorf("key %s is published with other numbers", id)
		}
		if private := testKey(t, file); bytes.Contains(body, private.D.Bytes()) {
			t.Errorf("the private exponent of %s is published", id)
		}
	}
	if !strings.HasPrefix(etag, `"`) || !strings.HasSuffix(etag, `"`) {
		t.Errorf("the entity tag %s is not a strong one", etag)
	}
	if _, again, _ := newRing(t, goBackend(t), active, record{"K2", "rsa2048-2.pem", keystore.Retired}, record{"K3", "rsa3072.pem", keystore.Retired}).JWKS("acme"); again != etag {
		t.Error("a state that is not published changes the entity tag")
	}
	if _, other, _ := newRing(t, goBackend(t), active).JWKS("acme"); other == etag {
		t.Error("two key sets have one entity tag")
	}
	empty := signer.NewRing(signer.RingConfig{Backend: goBackend(t)})
	empty.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": {}}))
	if body, _, ok := empty.JWKS("acme"); !ok || string(body) != `{"keys":[]}` {
		t.Errorf("JWKS without keys = %s, %v", body, ok)
	}
}

func TestParseJWKSSkipsWhatCannotSignPlaybackTokens(t *testing.T) {
	t.Parallel()
	body, _, _ := newRing(t, goBackend(t), active).JWKS("acme")
	rsaKey := strings.TrimSuffix(strings.TrimPrefix(string(body), `{"keys":[`), `]}`)
	for _, test := range []struct {
		name, document string
		want           int
		fails          bool
	}{
		{"as published", string(body), 1, false},
		{"an encryption key", strings.Replace(string(body), `"sig"`, `"enc"`, 1), 0, false},
		{"a secret", `{"keys":[{"kty":"oct","kid":"K1","k":"AAAA"}]}`, 0, false},
		{"no ID", strings.Replace(string(body), `"kid":"K1",`, ``, 1), 0, false},
		{"one ID twice", `{"keys":[` + rsaKey + `,` + rsaKey + `]}`, 0, true},
		{"no JSON", `keys`, 0, true},
	} {
		keys, err := signer.ParseJWKS([]byte(test.document))
		if len(keys) != test.want || (err != nil) != test.fails {
			t.Errorf("%s: ParseJWKS = %d keys, %v", test.name, len(keys), err)
		}
	}
}

func TestActiveAllocatesNothing(t *testing.T) {
	ring := newRing(t, goBackend(t), active)
	if n := testing.AllocsPerRun(100, func() { ring.Active("acme") }); n != 0 {
		t.Errorf("Active allocates %v times, want 0", n)
	}
}

func TestRingReadersSeeWholeSnapshots(t *testing.T) {
	t.Parallel()
	ring := newRing(t, goBackend(t), active)
	states := []keystore.Snapshot{
		snapshot(t, active, record{"K2", "rsa2048-2.pem", keystore.Prepared}),
		snapshot(t, record{"K1", "rsa2048-1.pem", keystore.Retired}, record{"K2", "rsa2048-2.pem", keystore.Active}),
	}
	want := map[playback.KeyID]playback.Thumbprint{
		"K1": states[0].Keyset("acme").Keys[0].Thumbprint, "K2": states[0].Keyset("acme").Keys[1].Thumbprint,
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if id, thumbprint, ok := ring.Active("acme"); !ok || want[id] != thumbprint {
					t.Errorf("Active = %s, %x, %v", id, thumbprint, ok)
					return
				}
				runtime.Gosched()
			}
		})
	}
	for i := range 50 {
		ring.Update(states[i%2])
	}
	close(done)
	readers.Wait()
}

func TestJWKSLeavesOutRetiredKeysThatMayBeDeleted(t *testing.T) {
	t.Parallel()
	const keep = 24 * time.Hour
	old, recent := keyOf(t, record{"K2", "rsa2048-2.pem", keystore.Retired}), keyOf(t, record{"K3", "rsa3072.pem", keystore.Retired})
	old.RetiredAt, recent.RetiredAt = now.Add(-2*keep), now.Add(-time.Hour)
	undated := keyOf(t, record{"K4", "rsa2048-2.pem", keystore.Retired})
	at := now
	ring := signer.NewRing(signer.RingConfig{
		Backend: goBackend(t), Now: func() time.Time { return at },
		KeepRetired: func(playback.EnvironmentID, *keystore.Key) time.Duration { return keep },
	})
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{
		"acme": {Keys: []*keystore.Key{keyOf(t, active), old, recent, undated}},
	}))
	published := func() []playback.KeyID {
		body, _, _ := ring.JWKS("acme")
		keys, err := signer.ParseJWKS(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(ring.PublicKeys("acme"))), slices.Sorted(maps.Keys(keys))); diff != "" {
			t.Errorf("the document and PublicKeys differ:\n%s", diff)
		}
		return slices.Sorted(maps.Keys(keys))
	}
	if diff := cmp.Diff([]playback.KeyID{"K1", "K3", "K4"}, published()); diff != "" {
		t.Errorf("an hour after K3 was retired: (-want +got)\n%s", diff)
	}
	at = now.Add(keep - time.Hour)
	if diff := cmp.Diff([]playback.KeyID{"K1", "K4"}, published()); diff != "" {
		t.Errorf("when K3 may be deleted: (-want +got)\n%s", diff)
	}
}
