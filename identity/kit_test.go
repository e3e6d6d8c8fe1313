package identity_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/playback"
)

const (
	issuerURL = "https://idp.acme.example"
	audience  = "playgate"
	prod      = playback.EnvironmentID("acme-prod")
	staging   = playback.EnvironmentID("acme-staging")
)

// noon is when the tests without a clock of their own happen.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// network answers for hosts without a network, so that it works inside
// synctest's bubbles.
type network map[string]http.Handler

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	handler, ok := n[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("no such host: %s", r.URL.Host)
	}
	recorder := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		handler.ServeHTTP(recorder, r)
	}()
	select {
	case <-done:
		return recorder.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// counted counts the requests of a handler.
type counted struct {
	http.Handler
	requests atomic.Int64
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	c.Handler.ServeHTTP(w, r)
}

// replaceable is a handler that tests exchange while it serves.
type replaceable struct{ handler atomic.Pointer[http.Handler] }

func (s *replaceable) set(h http.Handler) { s.handler.Store(&h) }

func (s *replaceable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, r)
}

// down is the handler of a server that is out of order.
func down() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
}

// hanging is the handler of a server that does not answer until the client
// gives up.
func hanging() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// slow is a handler that takes its time.
func slow(delay time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(delay):
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

func provider(t testing.TB, now func() time.Time, algorithms ...string) *identitytest.Provider {
	t.Helper()
	p, err := identitytest.New(identitytest.Config{Issuer: issuerURL, Algorithms: algorithms, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// trust is the usual issuer of an environment.
func trust(environment playback.EnvironmentID) identity.Issuer {
	return identity.Issuer{
		Environment: environment, Issuer: issuerURL, Alias: "main", Recipients: forAudience(audience),
		JWKSURL: issuerURL + "/jwks.json", Algorithms: identity.Algorithms(), MaxLifetime: 24 * time.Hour,
	}
}

// host is the host of the usual issuer's key set.
const host = "idp.acme.example"

// start runs a Verifier until the test ends, and waits for its key sets to be
// tried once.
func start(t testing.TB, c identity.Config, issuers ...identity.Issuer) *identity.Verifier {
	t.Helper()
	v := identity.New(c)
	if err := v.SetIssuers(issuers); err != nil {
		t.Fatal(err)
	}
	v.Start(t.Context())
	t.Cleanup(v.Stop)
	if err := v.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v
}

// atNoon runs a Verifier that trusts the provider in prod and whose clock
// stands at noon.
func atNoon(t testing.TB, p *identitytest.Provider) *identity.Verifier {
	t.Helper()
	return start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, trust(prod))
}

// claims returns good claims with changes.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{"aud": audience, "sub": "u1"}
	maps.Copy(all, changes)
	return all
}

func sign(t testing.TB, p *identitytest.Provider, changes map[string]any) string {
	t.Helper()
	raw, err := p.Token(claims(changes))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// compact signs header and payload as they are, with the provider's first key.
func compact(t testing.TB, p *identitytest.Provider, header, payload string) string {
	t.Helper()
	raw, err := p.Sign(p.KeyIDs()[0], []byte(header), []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// verify does what middleware does with a token that is not remembered.
func verify(v *identity.Verifier, raw string, environment playback.EnvironmentID) (*identity.Identity, error) {
	claim, err := v.Inspect(raw)
	if err != nil {
		return nil, err
	}
	return v.Verify(raw, claim, environment)
}

// codeOf returns the code of a refusal, "" for none.
func codeOf(t testing.TB, err error) playback.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[*playback.Error](err)
	if !ok {
		t.Fatalf("error %v is a %T, want a *playback.Error", err, err)
	}
	return refusal.Code
}

func wantCode(t testing.TB, v *identity.Verifier, raw string, want playback.Code) {
	t.Helper()
	id, err := verify(v, raw, prod)
	if got := codeOf(t, err); got != want {
		t.Errorf("Verify() = %q (%v), want %q", got, err, want)
	}
	if (id == nil) != (want != "") {
		t.Errorf("Verify() = identity %v with code %q", id, want)
	}
}

// forAudience is the recipient of tokens with the aud.
func forAudience(value string) []playback.Recipient {
	return []playback.Recipient{{Claim: playback.RecipientAudience, Value: value}}
}
