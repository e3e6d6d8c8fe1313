package identitytest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
)

func midnight() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func newProvider(t *testing.T, algorithms ...string) *identitytest.Provider {
	t.Helper()
	p, err := identitytest.New(identitytest.Config{Issuer: "https://idp.example", Algorithms: algorithms, Now: midnight})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTokensVerifyWithThePublishedKeys in every algorithm, by jwx alone.
func TestTokensVerifyWithThePublishedKeys(t *testing.T) {
	t.Parallel()
	p := newProvider(t, identity.Algorithms()...)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	set, err := jwk.Fetch(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for n, kid := range p.KeyIDs() {
		raw, err := p.TokenWith(kid, map[string]any{"sub": "u1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jws.Verify([]byte(raw), jws.WithKeySet(set)); err != nil {
			t.Errorf("%s: %v", kid, err)
		}
		key, ok := set.LookupKeyID(kid)
		if !ok || key.Algorithm() != jwa.SignatureAlgorithm(identity.Algorithms()[n]) || key.KeyUsage() != "sig" {
			t.Errorf("%s is published as %v", kid, key)
		}
	}
}

func TestClaimsAreFilledIn(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	now := float64(midnight().Unix())
	for _, c := range []struct{ give, want map[string]any }{
		{nil, map[string]any{"iss": "https://idp.example", "iat": now, "exp": now + 3600}},
		{map[string]any{"iss": "x", "sub": "u"}, map[string]any{"iss": "x", "sub": "u", "iat": now, "exp": now + 3600}},
		{
			map[string]any{"exp": identitytest.Absent{}, "iat": nil, "iss": identitytest.Absent{}, "a": []int{1}},
			map[string]any{"iat": nil, "a": []any{1.0}},
		},
	} {
		raw, err := p.Token(c.give)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("claims of %v (-want +got):\n%s", c.give, diff)
		}
	}
}

func TestKeysComeAndGo(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	first := p.KeyIDs()[0]
	second, err := p.Add("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.KeyIDs(); !slices.Equal(got, []string{first, second}) {
		t.Errorf("KeyIDs() = %v", got)
	}
	third, err := p.Rotate("ES384")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.KeyIDs(); !slices.Equal(got, []string{third}) || third == first {
		t.Errorf("KeyIDs() after Rotate = %v", got)
	}
	if _, err := p.TokenWith(first, nil); err == nil {
		t.Error("a withdrawn key signs")
	}
	p.Withdraw(third)
	if _, err := p.Token(nil); err == nil {
		t.Error("a provider without keys signs")
	}
	if body, err := p.JWKS(); err != nil || string(body) != `{"keys":[]}` {
		t.Errorf("JWKS() = %s, %v", body, err)
	}
	for _, algorithm := range []string{"HS256", "none", ""} {
		if _, err := p.Add(algorithm); err == nil {
			t.Errorf("Add(%q) = nil", algorithm)
		}
	}
}

// TestPublishedKeysHaveNoPrivatePart: a key with one would be dropped.
func TestPublishedKeysHaveNoPrivatePart(t *testing.T) {
	t.Parallel()
	p := newProvider(t, "RS256", "ES256", "EdDSA")
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	usable, dropped, err := identity.ReadKeySet(recorder.Body.Bytes())
	if usable != 3 || len(dropped) != 0 || err != nil {
		t.Errorf("ReadKeySet() = %d, %q, %v, want 3 keys", usable, dropped, err)
	}
}

func TestProviderIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 10 {
				kid, err := p.Add("EdDSA")
				if err != nil {
					t.Error(err)
				}
				if _, err := p.TokenWith(kid, nil); err != nil {
					t.Error(err)
				}
				if _, err := p.JWKS(); err != nil {
					t.Error(err)
				}
				p.Withdraw(kid)
			}
		})
	}
	group.Wait()
}
