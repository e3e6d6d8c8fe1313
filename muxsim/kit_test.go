package muxsim_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
)

// keys are made once: RSA keys are slow to make under -race.
var keys = sync.OnceValue(func() [3]*rsa.PrivateKey {
	var out [3]*rsa.PrivateKey
	for i := range out {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		out[i] = key
	}
	return out
})

func start() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// edge is a simulator with two environments and a clock.
type edge struct {
	*muxsim.Sim
	*clock
}

func newEdge(tb testing.TB) *edge {
	tb.Helper()
	c := &clock{now: start()}
	asset := func(id muxsim.ID, policy muxsim.Policy, status string) muxsim.PlaybackID {
		return muxsim.PlaybackID{ID: id, Policy: policy, Asset: muxsim.AssetID("asset" + id), Status: status}
	}
	live := func(id muxsim.ID, status string) muxsim.PlaybackID {
		return muxsim.PlaybackID{ID: id, Policy: muxsim.Signed, LiveStream: muxsim.LiveStreamID("live" + id), Status: status}
	}
	sim, err := muxsim.New(muxsim.Config{
		Now: c.Now,
		Environments: []muxsim.Environment{
			{
				ID:   "one",
				Keys: map[muxsim.KeyID]*rsa.PublicKey{"K1": &keys()[0].PublicKey},
				PlaybackIDs: []muxsim.PlaybackID{
					asset("Film", muxsim.Signed, ""), asset("Vault", muxsim.DRM, "ready"),
					asset("Soon", muxsim.Signed, "preparing"), asset("Broken", muxsim.Signed, "errored"),
					{ID: "Open", Policy: muxsim.Public, Asset: "assetFilm", Media: muxsim.Trailer},
					live("OnAir", "active"), live("Idle", "idle"), live("Off", "disabled"),
				},
				Restrictions: []muxsim.Restriction{
					{ID: "nobody"},
					{ID: "web", AllowedDomains: []string{"*.example.com", "foo.com", "*.a.bar.com"}},
					{ID: "any", AllowedDomains: []string{"*"}},
					{ID: "native", AllowNoReferrer: true, DenyNoUserAgent: true, DenyHighRiskUserAgent: true},
				},
			},
			{
				ID:          "two",
				Keys:        map[muxsim.KeyID]*rsa.PublicKey{"K2": &keys()[1].PublicKey},
				PlaybackIDs: []muxsim.PlaybackID{asset("Lesson", muxsim.Signed, "")},
			},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return &edge{sim, c}
}

// claims is a token's payload.
type claims map[string]any

// good returns claims that open the ID, with more on top; nil removes a claim.
func good(sub, aud string, more claims) claims {
	c := claims{"kid": "K1", "sub": sub, "aud": aud, "exp": start().Add(time.Minute).Unix()}
	for name, value := range more {
		if value == nil {
			delete(c, name)
			continue
		}
		c[name] = value
	}
	return c
}

// sign makes a compact JWT, with nothing of the gateway's.
func sign(key *rsa.PrivateKey, header string, payload any) string {
	body, ok := payload.(string)
	if !ok {
		raw, err := json.Marshal(payload)
		if err != nil {
			panic(err)
		}
		body = string(raw)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const jwt = `{"alg":"RS256","typ":"JWT"}`

// with returns the path with a token of the claims, signed by K1.
func with(path string, c claims) string { return path + "?token=" + sign(keys()[0], jwt, c) }

// do sends one request to the handler.
func (e *edge) do(tb testing.TB, method, url string) *httptest.ResponseRecorder {
	tb.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(tb.Context(), method, "http://edge.example"+url, http.NoBody)
	e.ServeHTTP(recorder, request)
	return recorder
}

// get fetches what must be there.
func (e *edge) get(tb testing.TB, url string) string {
	tb.Helper()
	recorder := e.do(tb, http.MethodGet, url)
	if recorder.Code != http.StatusOK {
		tb.Fatalf("GET %s = %d %s", strings.SplitN(url, "?", 2)[0], recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}
