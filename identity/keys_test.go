package identity_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
)

// jwksOf returns the keys of a provider's set, as JSON objects.
func jwksOf(t testing.TB, p *identitytest.Provider) []map[string]any {
	t.Helper()
	body, err := p.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys
}

func setFrom(t testing.TB, keys ...any) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// modulus returns an odd number of so many bits.
func modulus(t testing.TB, bits int) string {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
	if err != nil {
		t.Fatal(err)
	}
	return encode(n.SetBit(n.SetBit(n, bits-1, 1), 0, 1).Bytes())
}

// TestKeysThatAreDropped: each makes a set of its own beside a good key, which
// must survive. The names say what is wrong; "" is a key that is used.
func TestKeysThatAreDropped(t *testing.T) {
	t.Parallel()
	ec, rsa := jwksOf(t, provider(t, nil, "ES256"))[0], jwksOf(t, provider(t, nil, "RS256"))[0]
	ed := jwksOf(t, provider(t, nil, "EdDSA"))[0]
	type m = map[string]any
	with := func(key, changes m) m {
		changed := maps.Clone(key)
		maps.Copy(changed, changes)
		maps.DeleteFunc(changed, func(_ string, v any) bool { return v == identitytest.Absent{} })
		return changed
	}
	absent := identitytest.Absent{}
	for name, c := range map[string]struct {
		key  any
		want string // part of the reason
	}{
		"EC":                       {ec, ""},
		"RSA":                      {rsa, ""},
		"Ed25519":                  {ed, ""},
		"bare":                     {with(ec, m{"alg": absent, "use": absent, "kid": absent}), ""},
		"key_ops verify":           {with(ec, m{"use": absent, "key_ops": []string{"verify"}}), ""},
		"broken x5c is not read":   {with(rsa, m{"x5c": []string{"AAAA"}, "x5t": "x"}), ""},
		"RSA e with a zero first":  {with(rsa, m{"e": "AAEAAQ"}), ""},
		"RSA of 8192 bits":         {with(rsa, m{"n": modulus(t, 8192)}), ""},
		"symmetric":                {m{"kty": "oct", "kid": "k", "k": encode([]byte("secretsecretsecretsecretsecretse")), "alg": "HS256"}, "alg"},
		"symmetric without alg":    {m{"kty": "oct", "k": encode([]byte("secret"))}, "oct"},
		"RSA of 2047 bits":         {with(rsa, m{"n": modulus(t, 2047)}), "2047 bits"},
		"RSA of 1024 bits":         {with(rsa, m{"n": modulus(t, 1024)}), "1024 bits"},
		"RSA of 8193 bits":         {with(rsa, m{"n": modulus(t, 8193)}), "8193 bits"},
		"RSA even":                 {with(rsa, m{"n": encode(append(bytes.Repeat([]byte{0xff}, 255), 0xfe))}), "even"},
		"RSA e = 1":                {with(rsa, m{"e": "AQ"}), "exponent"},
		"RSA e = 2":                {with(rsa, m{"e": "Ag"}), "exponent"},
		"RSA e of 65 bits":         {with(rsa, m{"e": encode([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})}), "exponent"},
		"RSA without e":            {with(rsa, m{"e": absent}), "required field e"},
		"use SIG":                  {with(ec, m{"use": "SIG"}), "use"},
		"use a number":             {with(ec, m{"use": 1}), "use"},
		"key_ops sign":             {with(ec, m{"key_ops": []string{"sign"}}), "key_ops"},
		"key_ops no array":         {with(ec, m{"key_ops": "verify"}), "key_ops"},
		"private EC":               {with(ec, m{"d": "AAAA"}), "private"},
		"private RSA":              {with(rsa, m{"d": "AAAA"}), "private"},
		"private RSA, only p":      {with(rsa, m{"p": "AAAA"}), "private"},
		"private RSA, only qi":     {with(rsa, m{"qi": "AAAA"}), "private"},
		"private Ed25519":          {with(ed, m{"d": "AAAA"}), "private"},
		"RSA with k":               {with(rsa, m{"k": "AAAA"}), "private"},
		"alg of another type":      {with(rsa, m{"alg": "ES256"}), "another type"},
		"alg of another curve":     {with(ec, m{"alg": "ES384"}), "another type"},
		"alg HS256 on an EC key":   {with(ec, m{"alg": "HS256"}), "not supported"},
		"alg none":                 {with(ec, m{"alg": "none"}), "not supported"},
		"alg A128KW":               {with(rsa, m{"alg": "A128KW"}), "not supported"},
		"alg a number":             {with(ec, m{"alg": 7}), "not a string"},
		"kid a number":             {with(ec, m{"kid": 7}), "not a string"},
		"point not on the curve":   {with(ec, m{"x": encode(make([]byte, 32))}), "curve"},
		"P-256 point as P-384":     {with(ec, m{"crv": "P-384", "alg": absent}), "curve"},
		"secp256k1":                {with(ec, m{"crv": "secp256k1", "alg": absent}), "key"},
		"Ed25519 too short":        {with(ed, m{"x": "AAAA"}), "size"},
		"Ed448":                    {with(ed, m{"crv": "Ed448", "alg": absent}), "key"},
		"X25519":                   {with(ed, m{"crv": "X25519", "alg": absent}), "signs nothing"},
		"unknown kty":              {m{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, "not supported"},
		"unknown kty without alg":  {m{"kty": "AKP", "pub": "AAAA"}, "AKP"},
		"no kty":                   {with(ec, m{"kty": absent}), "kty"},
		"kty a number":             {with(ec, m{"kty": 7}), "kty"},
		"a member twice":           {json.RawMessage(`{"kty":"EC","kty":"EC","crv":"P-256"}`), "twice"},
		"not an object":            {7, "object"},
		"null":                     {nil, "object"},
		"RSA kid of an unused key": {with(rsa, m{"kid": ""}), ""},
	} {
		usable, dropped, err := identity.ReadKeySet(setFrom(t, c.key, ec))
		wantUsable := 2
		if c.want != "" {
			wantUsable = 1
		}
		if err != nil || usable != wantUsable || len(dropped) != 2-wantUsable {
			t.Errorf("%s: %d usable, dropped %q, %v; want %d usable", name, usable, dropped, err, wantUsable)
		} else if c.want != "" && !strings.Contains(dropped[0], c.want) {
			t.Errorf("%s: dropped for %q, want %q", name, dropped[0], c.want)
		}
	}
}

func TestWhatIsNoKeySet(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", " \n", "{}", "null", "[]", `"x"`, `{"keys":null}`, `{"keys":{}}`, `{"keys":"x"}`, `{"KEYS":[]}`, `{"keys":[]}x`,
		"\ufeff\ufeff" + `{"keys":[]}`, `x` + "\ufeff" + `{"keys":[]}`, `{"kty":7}`, `{"jwks_uri":7}`, `{"a":"-----BEGIN","b":7}`,
	} {
		if _, _, err := identity.ReadKeySet([]byte(body)); err == nil {
			t.Errorf("ReadKeySet(%q) = nil", body)
		}
	}
	if usable, dropped, err := identity.ReadKeySet([]byte(`{"keys":[],"more":1}`)); usable != 0 || dropped != nil || err != nil {
		t.Errorf("the empty set: %d, %v, %v", usable, dropped, err)
	}
}

// TestDuplicateKidsAreTriedBoth: a set that uses a kid twice keeps working.
func TestDuplicateKidsAreTriedBoth(t *testing.T) {
	t.Parallel()
	one, two := provider(t, noon), provider(t, noon, "EdDSA")
	first, second := jwksOf(t, one)[0], jwksOf(t, provider(t, noon))[0]
	third := jwksOf(t, two)[0]
	third["kid"] = first["kid"]
	for _, keys := range [][]any{{first, second, third}, {third, second, first}} {
		body := setFrom(t, keys...)
		v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: garbage(string(body))}}, trust(prod))
		wantCode(t, v, sign(t, one, nil), "")
		wantCode(t, v, compact(t, two, `{"alg":"EdDSA","kid":"`+first["kid"].(string)+`"}`, payload(t, nil)), "")
	}
}

// TestTokenWithoutKid is tried against the keys that fit its algorithm, a few
// at most; one with a kid that no key has, against keys that have none.
func TestTokenWithoutKid(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "EdDSA", "ES256", "ES256", "ES256")
	v := atNoon(t, p)
	for n, kid := range p.KeyIDs() {
		algorithm := strings.ToUpper(kid[:5])
		if n == 0 {
			algorithm = "EdDSA"
		}
		raw, err := p.Sign(kid, []byte(`{"alg":"`+algorithm+`"}`), []byte(payload(t, nil)))
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, v, raw, "")
	}

	many := provider(t, noon, "ES256", "ES256", "ES256", "ES256", "ES256", "ES256")
	v = atNoon(t, many)
	for n, kid := range many.KeyIDs() {
		raw, err := many.Sign(kid, []byte(`{"alg":"ES256"}`), []byte(payload(t, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if n < identity.MaxTries {
			wantCode(t, v, raw, "")
		} else {
			wantCode(t, v, raw, invalid)
		}
	}

	nameless := jwksOf(t, p)
	delete(nameless[0], "kid")
	body := setFrom(t, nameless[0], nameless[1])
	v = start(t, identity.Config{Now: noon, InsecureTransport: network{host: garbage(string(body))}}, trust(prod))
	wantCode(t, v, compact(t, p, `{"alg":"EdDSA","kid":"whatever"}`, payload(t, nil)), "")
	wantCode(t, v, compact(t, p, `{"alg":"EdDSA","kid":"es256-2"}`, payload(t, nil)), invalid)
}

// TestDroppedKeysAreLoggedOncePerChange, not per refresh or request.
func TestDroppedKeysAreLoggedOncePerChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		good := jwksOf(t, p)[0]
		bad := maps.Clone(good)
		bad["use"] = "tls"
		var body atomic.Pointer[[]byte]
		publish := func(keys ...any) {
			b := setFrom(t, keys...)
			body.Store(&b)
		}
		publish(good, bad)
		var log bytes.Buffer
		v := start(t, identity.Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			InsecureTransport: network{host: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Write(*body.Load())
			})},
		}, trust(prod))
		count := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := strings.Count(log.String(), "keys of the set are not used"); got != want {
				t.Errorf("logged %d times, want %d:\n%s", got, want, log.String())
			}
		}
		count(1)
		for n := range 20 {
			wantCode(t, v, unknownKid(t, n), invalid)
			time.Sleep(time.Minute)
		}
		count(1)
		publish(bad, good)
		time.Sleep(6 * time.Minute)
		count(2)
		publish(good)
		time.Sleep(6 * time.Minute)
		count(2)
		onlyRSA := trust(prod)
		onlyRSA.Algorithms = []string{"RS256"}
		reload(t, v, onlyRSA)
		publish(good, good)
		time.Sleep(6 * time.Minute)
		count(3)
		if !strings.Contains(log.String(), "none of the pinned algorithms") {
			t.Errorf("an unpinned key is not told of: %s", log.String())
		}
	})
}

// TestHugeSetsAreCut, so that one issuer cannot fill the memory.
func TestHugeSetsAreCut(t *testing.T) {
	t.Parallel()
	p := provider(t, nil)
	key := jwksOf(t, p)[0]
	keys := make([]any, 0, 400)
	for n := range 400 {
		k := maps.Clone(key)
		k["kid"] = fmt.Sprint("k", n)
		keys = append(keys, k)
	}
	usable, dropped, err := identity.ReadKeySet(setFrom(t, keys...))
	if usable != 256 || len(dropped) != 1 || err != nil {
		t.Errorf("%d usable, %q, %v; want 256 and one note", usable, dropped, err)
	}
}
