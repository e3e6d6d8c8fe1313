package signer_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// forge signs any header and payload with RS256.
func forge(t *testing.T, key *rsa.PrivateKey, header, payload string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestVerifySaysExactlyWhatIsWrong(t *testing.T) {
	t.Parallel()
	key, other := testKey(t, "rsa2048-1.pem"), testKey(t, "rsa2048-2.pem")
	keys := signer.PublicKeys{"K1": &key.PublicKey, "K2": &other.PublicKey}
	const good = `{"kid":"K1","sub":"PID1","aud":"v","exp":1800000900}`
	sign := func(header, payload string) string { return forge(t, key, header, payload) }
	valid := sign(plainHeader, good)
	head, rest, _ := strings.Cut(valid, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for _, test := range []struct {
		name  string
		token string
		want  signer.Reason
	}{
		{"kid as a claim", valid, ""},
		{"kid in the header", sign(`{"alg":"RS256","typ":"JWT","kid":"K1"}`, `{"sub":"PID1","aud":"v","exp":1800000900}`), ""},
		{"kid in both", sign(`{"alg":"RS256","typ":"JWT","kid":"K1"}`, good), ""},
		{"as Mux's older SDKs, without typ", sign(`{"alg":"RS256"}`, good), ""},
		{"the last moment", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"v","exp":1800000001}`), ""},
		{"a video ID", sign(plainHeader, `{"kid":"K1","sub":"~film/1?\"","aud":"video_id","exp":1800000900}`), ""},
		{"nbf in the past", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"v","exp":1800000900,"nbf":1800000000}`), ""},

		{"empty", "", signer.ReasonMalformed},
		{"two parts", head + "." + payload, signer.ReasonMalformed},
		{"four parts", valid + ".x", signer.ReasonMalformed},
		{"padding", head + "." + payload + "=." + signature, signer.ReasonMalformed},
		{"base64 that is not the URL kind", head + "." + payload + "." + strings.NewReplacer("-", "+", "_", "/").Replace(signature), signer.ReasonMalformed},
		{"a line break inside", head + ".\n" + payload + "." + signature, signer.ReasonMalformed},
		{"too long", valid + strings.Repeat("A", 16<<10), signer.ReasonMalformed},
		{"a header that is no JSON", sign(`alg`, good), signer.ReasonMalformed},
		{"a header that is an array", sign(`["RS256"]`, good), signer.ReasonMalformed},
		{"alg twice in the header", sign(`{"alg":"none","alg":"RS256"}`, good), signer.ReasonMalformed},
		{"a payload that is no object", sign(plainHeader, `"PID1"`), signer.ReasonMalformed},
		{"two payloads", sign(plainHeader, good+good), signer.ReasonMalformed},
		{"a payload cut short", sign(plainHeader, strings.TrimSuffix(good, "}")), signer.ReasonMalformed},
		{"JWS in its JSON form", `{"payload":"` + payload + `","protected":"` + head + `","signature":"` + signature + `"}`, signer.ReasonMalformed},

		{"alg none", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + ".", signer.ReasonAlgorithm},
		{"alg HS256", sign(`{"alg":"HS256","typ":"JWT"}`, good), signer.ReasonAlgorithm},
		{"alg RS512", sign(`{"alg":"RS512","typ":"JWT"}`, good), signer.ReasonAlgorithm},
		{"alg in another case", sign(`{"alg":"rs256","typ":"JWT"}`, good), signer.ReasonAlgorithm},
		{"crit", sign(`{"alg":"RS256","typ":"JWT","crit":["b64"],"b64":false}`, good), signer.ReasonCritical},
		{"no kid", sign(plainHeader, `{"sub":"PID1","aud":"v","exp":1800000900}`), signer.ReasonNoKeyID},
		{"a kid that is a number", sign(plainHeader, `{"kid":1,"sub":"PID1","aud":"v","exp":1800000900}`), signer.ReasonNoKeyID},
		{"header and claim disagree", sign(`{"alg":"RS256","kid":"K2"}`, good), signer.ReasonKeyIDConflict},
		{"an unknown key", sign(plainHeader, `{"kid":"K9","sub":"PID1","aud":"v","exp":1800000900}`), signer.ReasonUnknownKey},
		{"another key of the environment", sign(plainHeader, `{"kid":"K2","sub":"PID1","aud":"v","exp":1800000900}`), signer.ReasonSignature},
		{"a changed payload", head + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(good, "PID1", "PID2", 1))) + "." + signature, signer.ReasonSignature},
		{"no signature", head + "." + payload + ".", signer.ReasonSignature},

		{"a claim twice", sign(plainHeader, `{"kid":"K1","sub":"PID1","sub":"PID2","aud":"v","exp":1800000900}`), signer.ReasonDuplicateClaim},
		{"no sub", sign(plainHeader, `{"kid":"K1","aud":"v","exp":1800000900}`), signer.ReasonNoSubject},
		{"an empty sub", sign(plainHeader, `{"kid":"K1","sub":"","aud":"v","exp":1800000900}`), signer.ReasonNoSubject},
		{"no aud", sign(plainHeader, `{"kid":"K1","sub":"PID1","exp":1800000900}`), signer.ReasonAudience},
		{"aud as an array", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":["v"],"exp":1800000900}`), signer.ReasonAudience},
		{"a sub that is no ID", sign(plainHeader, `{"kid":"K1","sub":"PID-1","aud":"v","exp":1800000900}`), signer.ReasonNoSubject},
		{"a video ID with a space", sign(plainHeader, `{"kid":"K1","sub":"film 1","aud":"video_id","exp":1800000900}`), signer.ReasonNoSubject},
		{"a video ID for another use", sign(plainHeader, `{"kid":"K1","sub":"film/1","aud":"playback_id","exp":1800000900}`), signer.ReasonNoSubject},
		{"an aud that Mux does not have", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"x","exp":1800000900}`), signer.ReasonAudience},
		{"an empty aud", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"","exp":1800000900}`), signer.ReasonAudience},
		{"no exp", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"v"}`), signer.ReasonNoExpiry},
		{"exp as a string", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"v","exp":"1800000900"}`), signer.ReasonNoExpiry},
		{"exp beyond all time", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"v","exp":1e300}`), signer.ReasonNoExpiry},
		{"expired this second", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"v","exp":1800000000}`), signer.ReasonExpired},
		{"not yet valid", sign(plainHeader, `{"kid":"K1","sub":"PID1","aud":"v","exp":1800000900,"nbf":1800000001}`), signer.ReasonNotYetValid},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := signer.Verify(test.token, keys, now)
			if got.Reason != test.want || got.Valid != (test.want == "") || (got.Detail == "") != got.Valid {
				t.Errorf("Verify = %+v, want reason %q", got, test.want)
			}
			if (got.Token == nil) != (test.want == signer.ReasonMalformed) {
				t.Errorf("Verify returns token %v with reason %q", got.Token, got.Reason)
			}
			if signature != "" && strings.Contains(got.Detail, signature) {
				t.Errorf("the detail quotes the token: %s", got.Detail)
			}
		})
	}
}

func TestDecodeKeepsClaimsAsTheyStand(t *testing.T) {
	t.Parallel()
	ring := newRing(t, goBackend(t), active)
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	c := claims(t, ring)
	c.Params, c.Custom = playback.Params{{Name: "asset_end_time", JSON: "60.50"}}, `{"b":1,"a":2}`
	token, err := pool.Sign(t.Context(), c, playback.Turn{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := signer.Decode(token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&signer.Decoded{
		Algorithm: "RS256", Type: "JWT", ClaimKey: "K1", Header: json.RawMessage(plainHeader),
		Claims: []signer.Claim{
			{Name: "asset_end_time", Value: json.RawMessage(`60.50`)},
			{Name: "custom", Value: json.RawMessage(`{"b":1,"a":2}`)},
			{Name: "kid", Value: json.RawMessage(`"K1"`)},
			{Name: "sub", Value: json.RawMessage(`"PID1"`)},
			{Name: "aud", Value: json.RawMessage(`"v"`)},
			{Name: "exp", Value: json.RawMessage(`1800000900`)},
		},
	}, got); diff != "" {
		t.Errorf("Decode: (-want +got)\n%s", diff)
	}
	if value, ok := got.Claim("exp"); !ok || string(value) != "1800000900" {
		t.Errorf("Claim(exp) = %s, %v", value, ok)
	}
	if value, ok := got.Claim("iat"); ok {
		t.Errorf("Claim(iat) = %s", value)
	}
}

// FuzzVerify: whatever a stranger sends is either refused, or was signed by
// the key: the fuzzer does not have it.
func FuzzVerify(f *testing.F) {
	key := testKey(f, "rsa2048-1.pem")
	keys := signer.PublicKeys{"K1": &key.PublicKey}
	for _, s := range []string{
		"", "..", "a.b.c", "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.AA",
		"eyJhbGciOiJub25lIn0.eyJraWQiOiJLMSIsInN1YiI6IlBJRDEiLCJhdWQiOiJ2IiwiZXhwIjoxODAwMDAwOTAwfQ.",
		"eyJhbGciOiJSUzI1NiIsImtpZCI6IksxIiwiY3JpdCI6W119.eyJleHAiOi0xfQ.AAAA",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if got := signer.Verify(token, keys, time.Unix(0, 0)); got.Valid || got.Reason == "" || got.Detail == "" {
			t.Errorf("Verify(%q) = %+v", token, got)
		}
	})
}
