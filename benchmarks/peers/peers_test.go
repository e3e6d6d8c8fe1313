package peers_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/playgate/playgate/benchmarks/peers"
)

const (
	hot      = "BENCH00HOT01"
	issuer   = "https://idp.bench.example"
	audience = "playgate"
)

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, key *rsa.PrivateKey, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// playback is a playback token like the gateway's.
func playback(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	return sign(t, key, jwt.MapClaims{
		"kid": "K1", "sub": hot, "aud": "v", "exp": time.Now().Add(time.Hour).Unix(), "max_resolution": "2160p",
	})
}

func config(t *testing.T) peers.Config {
	t.Helper()
	key, idp := newKey(t), newKey(t)
	token := playback(t, key)
	body, err := json.Marshal(map[string]any{"data": map[string]any{
		"playback_id": hot,
		"tokens":      []any{map[string]any{"type": "video", "token": token, "url": "https://stream.mux.com/" + hot + ".m3u8?token=" + token}},
		"player":      map[string]string{"playback-token": token},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return peers.Config{
		Dir: t.TempDir(), Key: key, KeyID: "K1", PlaybackID: hot,
		Answer: peers.Answer{Body: body, Header: http.Header{
			"Content-Type": {"application/json"}, "Cache-Control": {"private, no-store"}, "X-Request-Id": {"one"}, "X-Playgate-Cache": {"hit"},
		}},
		Viewers: peers.Viewers{
			Key: &idp.PublicKey, Issuer: issuer, Audience: audience,
			Token: sign(t, idp, jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "user-1", "exp": time.Now().Add(time.Hour).Unix()}),
		},
	}
}

func TestEveryPeerAnswersWhatMuxAcceptsAndStops(t *testing.T) {
	t.Parallel()
	for _, name := range peers.All() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			c := config(t)
			s, err := peers.Start(t.Context(), name, c)
			if errors.Is(err, peers.ErrMissing) {
				if os.Getenv("CI") != "" {
					t.Fatalf("%v; `make setup` installs it", err)
				}
				t.Skipf("NOT TESTED: %v; `make setup` installs it", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context(), c); err != nil {
				t.Error(err)
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			var client http.Client
			if res, err := client.Get(s.URL + peers.Path(hot)); err == nil {
				res.Body.Close()
				t.Error("it still answers after Stop")
			}
		})
	}
}

func TestHAProxyRefusesWhatTheGatewayWouldRefuse(t *testing.T) {
	t.Parallel()
	idp := newKey(t)
	claims := func(change func(jwt.MapClaims)) string {
		c := jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "user-1", "exp": time.Now().Add(time.Hour).Unix()}
		change(c)
		return sign(t, idp, c)
	}
	c := config(t)
	c.Viewers.Key, c.Viewers.Token = &idp.PublicKey, claims(func(jwt.MapClaims) {})
	s, err := peers.Start(t.Context(), peers.HAProxy, c)
	if errors.Is(err, peers.ErrMissing) && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED: %v; `make setup` installs it", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for name, token := range map[string]string{
		"expired":        claims(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }),
		"other issuer":   claims(func(c jwt.MapClaims) { c["iss"] = "https://elsewhere.example" }),
		"other audience": claims(func(c jwt.MapClaims) { c["aud"] = "elsewhere" }),
		"other key":      sign(t, newKey(t), jwt.MapClaims{"iss": issuer, "aud": audience, "exp": time.Now().Add(time.Hour).Unix()}),
		"no token":       "",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+peers.Path(hot), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		var client http.Client
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want 401", name, res.StatusCode)
		}
	}
}

func TestAPeerWithShorterAnswersIsNotMeasured(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Answer.Body = []byte(`{"data":{"tokens":[{"token":"short","url":"short"}]}}`)
	if s, err := peers.Start(t.Context(), peers.Go, c); err == nil {
		t.Errorf("it was started (and stopped: %v)", s.Stop())
	} else if !strings.Contains(err.Error(), "bytes") {
		t.Error(err)
	}
}

func TestVerifyWantsMuxsRules(t *testing.T) {
	t.Parallel()
	key, other := newKey(t), newKey(t)
	for name, one := range map[string]struct {
		key  *rsa.PrivateKey
		id   string
		want bool
	}{
		"good":              {key, hot, true},
		"another key":       {other, hot, false},
		"another ID's link": {key, "OTHER", false},
	} {
		err := peers.Verify(&one.key.PublicKey, "K1", one.id, "https://stream.mux.com/"+one.id+".m3u8?token="+playback(t, key))
		if (err == nil) != one.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
