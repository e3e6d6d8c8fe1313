package muxsim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
)

func jwk(kid string, key *rsa.PublicKey, more string) string {
	e := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())
	return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":%q%s}`, kid, base64.RawURLEncoding.EncodeToString(key.N.Bytes()), e, more)
}

// publisher is a JWKS endpoint that tests change.
type publisher struct {
	body    atomic.Pointer[string]
	fetches atomic.Int64
}

func (p *publisher) publish(jwks ...string) {
	body := `{"keys":[` + strings.Join(jwks, ",") + `]}`
	p.body.Store(&body)
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.fetches.Add(1)
	body := p.body.Load()
	if body == nil {
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte(*body))
}

func newPublished(t *testing.T) (*muxsim.Sim, *publisher, *clock) {
	t.Helper()
	p, c := new(publisher), &clock{now: start()}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	sim, err := muxsim.New(muxsim.Config{Now: c.Now, Environments: []muxsim.Environment{{
		ID: "one", JWKSURL: server.URL, PlaybackIDs: []muxsim.PlaybackID{{ID: "Film", Policy: muxsim.Signed, Asset: "a"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return sim, p, c
}

func TestKeySetIsReadWhenAKidIsUnknown(t *testing.T) {
	t.Parallel()
	sim, p, c := newPublished(t)
	url := func(i int) string {
		return "/Film.m3u8?token=" + sign(keys()[i], jwt, good("Film", "v", claims{"kid": fmt.Sprintf("K%d", i), "exp": start().Add(time.Hour).Unix()}))
	}
	expect := func(what string, i int, want muxsim.Reason, fetches int64) {
		t.Helper()
		if got := sim.Verify(url(i), nil); got.Reason != want || p.fetches.Load() != fetches {
			t.Errorf("%s: %s after %d fetches, want %s after %d", what, got.Reason, p.fetches.Load(), want, fetches)
		}
	}
	expect("the gateway is not up yet", 0, muxsim.UnknownKey, 1)
	p.publish(jwk("K0", &keys()[0].PublicKey, `,"use":"sig","alg":"RS256"`))
	expect("within the pause", 0, muxsim.UnknownKey, 1)
	c.Advance(time.Second)
	expect("after the pause", 0, muxsim.OK, 2)
	expect("a known kid", 0, muxsim.OK, 2)
	p.publish(jwk("K0", &keys()[0].PublicKey, ""), jwk("K1", &keys()[1].PublicKey, ""))
	c.Advance(time.Second)
	expect("rotation", 1, muxsim.OK, 3)
	p.publish(jwk("K1", &keys()[1].PublicKey, ""))
	expect("a withdrawn key, the set is young", 0, muxsim.OK, 3)
	c.Advance(time.Minute)
	expect("a withdrawn key, a minute later", 0, muxsim.UnknownKey, 4)
	p.body.Store(nil)
	c.Advance(2 * time.Minute)
	expect("the set cannot be read: the last one stands", 1, muxsim.OK, 5)
}

func TestKeysThatMustNotVerifyAreDropped(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public := &keys()[0].PublicKey
	for what, entry := range map[string]string{
		"1024 bits":       jwk("K1", &small.PublicKey, ""),
		"encryption":      jwk("K1", public, `,"use":"enc"`),
		"another alg":     jwk("K1", public, `,"alg":"RS512"`),
		"a private key":   jwk("K1", public, `,"d":"AQAB"`),
		"an odd kid":      jwk("K 1", public, ""),
		"a symmetric key": `{"kty":"oct","kid":"K1","k":"AQAB"}`,
		"exponent one":    strings.Replace(jwk("K1", public, ""), `"e":"AQAB"`, `"e":"AQ"`, 1),
		"no modulus":      `{"kty":"RSA","kid":"K1","e":"AQAB"}`,
	} {
		sim, p, _ := newPublished(t)
		p.publish(entry)
		if got := sim.Verify(with("/Film.m3u8", good("Film", "v", nil)), nil); got.Reason != muxsim.UnknownKey {
			t.Errorf("%s: %s, want %s", what, got.Reason, muxsim.UnknownKey)
		}
	}
}

func TestKeysComeAndGo(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	url := "/Film.m3u8?token=" + sign(keys()[2], jwt, good("Film", "v", claims{"kid": "K3"}))
	if got := e.Verify(url, nil); got.Reason != muxsim.UnknownKey {
		t.Errorf("before: %s", got.Reason)
	}
	if err := e.AddKey("one", "K3", &keys()[2].PublicKey); err != nil {
		t.Fatal(err)
	}
	if got := e.Verify(url, nil); !got.Allowed() {
		t.Errorf("after AddKey: %s", got.Reason)
	}
	e.RemoveKey("one", "K3")
	if got := e.Verify(url, nil); got.Reason != muxsim.UnknownKey {
		t.Errorf("after RemoveKey: %s", got.Reason)
	}
	for what, err := range map[string]error{
		"unknown environment": e.AddKey("three", "K3", &keys()[2].PublicKey),
		"ill-formed kid":      e.AddKey("one", "", &keys()[2].PublicKey),
		"no key":              e.AddKey("one", "K3", nil),
	} {
		if err == nil {
			t.Errorf("AddKey with %s succeeds", what)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	film := muxsim.PlaybackID{ID: "Film", Policy: muxsim.Signed, Asset: "a"}
	change := func(f func(*muxsim.PlaybackID)) []muxsim.Environment {
		p := film
		f(&p)
		return []muxsim.Environment{{ID: "one", PlaybackIDs: []muxsim.PlaybackID{p}}}
	}
	for what, environments := range map[string][]muxsim.Environment{
		"no environment ID":      {{}},
		"a repeated environment": {{ID: "one"}, {ID: "one"}},
		"an ID in two":           {{ID: "one", PlaybackIDs: []muxsim.PlaybackID{film}}, {ID: "two", PlaybackIDs: []muxsim.PlaybackID{film}}},
		"an ill-formed ID":       change(func(p *muxsim.PlaybackID) { p.ID = "a-b" }),
		"no policy":              change(func(p *muxsim.PlaybackID) { p.Policy = "" }),
		"neither":                change(func(p *muxsim.PlaybackID) { p.Asset = "" }),
		"both":                   change(func(p *muxsim.PlaybackID) { p.LiveStream = "l" }),
		"unknown media":          change(func(p *muxsim.PlaybackID) { p.Media = "opera" }),
		"a nil key":              {{ID: "one", Keys: map[muxsim.KeyID]*rsa.PublicKey{"K": nil}}},
	} {
		if _, err := muxsim.New(muxsim.Config{Environments: environments}); err == nil {
			t.Errorf("%s: New succeeds", what)
		}
	}
	if _, err := muxsim.New(muxsim.Config{Environments: change(func(*muxsim.PlaybackID) {})}); err != nil {
		t.Error(err)
	}
}
