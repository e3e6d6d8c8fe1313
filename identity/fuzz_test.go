package identity_test

import (
	"crypto/ed25519"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/identity"
)

// FuzzVerify sends tokens to a Verifier that trusts one key. Whatever is
// accepted must be the one token that was signed.
func FuzzVerify(f *testing.F) {
	p, evil := provider(f, noon), provider(f, noon)
	p.Withdraw(p.KeyIDs()[0])
	p.Adopt("k", "EdDSA", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))) // the same in each of the fuzzer's processes
	v := atNoon(f, p)
	good := sign(f, p, nil)
	for _, seed := range []string{
		good, good + "=", good + "\n", strings.Replace(good, ".", "..", 1), good[:len(good)-1], sign(f, evil, nil),
		"", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFZERTQSJ9.e30.AA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		claim, err := v.Inspect(raw)
		if err != nil {
			if codeOf(t, err) != invalid {
				t.Fatalf("Inspect() = %v", err)
			}
			return
		}
		if claim.Issuer == "" {
			t.Fatalf("Inspect() = %+v without an error", claim)
		}
		id, err := v.Verify(raw, claim, prod)
		if (err == nil) != (raw == good) || (id != nil) != (raw == good) {
			t.Fatalf("Verify(%q) = %v, %v", raw, id, err)
		}
		if _, ok := v.Remembered(raw, prod, time.Time{}); ok != (raw == good) {
			t.Fatalf("Remembered(%q) = %t", raw, ok)
		}
	})
}

// FuzzDecodeObject compares the strict reader with encoding/json: what it
// accepts, both must read alike, and no duplicates can hide.
func FuzzDecodeObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":[true,null,"x",{"c":-1.5e3}]}`, `{"a":1,"a":1}`, `{"a":1,"\u0061":2}`, `{"a":"\ud83c\udfac"}`,
		`{"a":"\ud83c"}`, `{"a":"\\ud83c"}`, `{"a":1e400}`, `[]`, ` {"a" : {} } `, `{"a":"\u0000"}`, `{"":""}`, `{"a":"\ud800\\u"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := identity.DecodeObject(data)
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("accepted %q, encoding/json says %v", data, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("read %q as %v, encoding/json as %v", data, got, want)
		}
		// Every member of the text is in the result: re-encoding keeps the
		// number of colons outside strings, so nothing was overwritten.
		encoded, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := members(data), members(encoded); a != b {
			t.Fatalf("%q has %d members, read were %d", data, a, b)
		}
	})
}

// members counts the colons outside strings of a JSON text.
func members(data []byte) int {
	n, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch {
		case inString && data[i] == '\\':
			i++
		case data[i] == '"':
			inString = !inString
		case !inString && data[i] == ':':
			n++
		}
	}
	return n
}

// FuzzReadKeySet: an issuer's document must not break us. What is used must be
// able to verify without a panic.
func FuzzReadKeySet(f *testing.F) {
	for _, algorithm := range []string{"EdDSA", "ES256", "ES512", "RS256"} {
		body, err := provider(f, nil, algorithm).JWKS()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"OKP","crv":"Ed25519","x":"AA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	for _, body := range []string{
		"\ufeff" + `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":"","d":null,"oth":[],"use":"","key_ops":[]}]}`,
		`{"issuer":"i","jwks_uri":"https://idp.example/keys?a#b"}`, `{"a":"-----BEGIN CERTIFICATE-----"}`, `[{"kty":"RSA"}]`, `{"kty":"RSA"}`,
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "<html>", "\xff\xfe{\x00", "\x1f\x8b\x08",
	} {
		f.Add([]byte(body))
	}
	tokens := make([]string, 0, len(identity.Algorithms()))
	for _, algorithm := range identity.Algorithms() {
		header := encode([]byte(`{"alg":"` + algorithm + `"}`))
		tokens = append(tokens, header+".e30."+encode(make([]byte, 64)), header+".e30."+encode(make([]byte, 256)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		usable, _, err := identity.ReadKeySet(body)
		if err != nil || usable == 0 {
			return
		}
		for _, raw := range tokens {
			if identity.VerifyJWS(raw, body, identity.Algorithms()...) == nil {
				t.Fatalf("zeroes are a signature for %s", body)
			}
		}
	})
}
