package signer_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

const plainHeader = `{"alg":"RS256","typ":"JWT"}`

// encoded returns header and payload as JSON text.
func encoded(t *testing.T, c *playback.Claims) (header, payload string) {
	t.Helper()
	input, err := signer.Encode(nil, c)
	if err != nil {
		t.Fatalf("Encode(%+v): %v", c, err)
	}
	head, body, _ := strings.Cut(string(input), ".")
	decode := func(part string) string {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatalf("%q is not base64url: %v", part, err)
		}
		return string(raw)
	}
	return decode(head), decode(body)
}

func TestEncodeHasTheExactShapeOfMuxNodeSDK14(t *testing.T) {
	t.Parallel()
	base := playback.Claims{Environment: "acme", Key: "K1", Sub: "PID1", Aud: "v", Exp: 1800000900}
	with := func(change func(*playback.Claims)) *playback.Claims {
		c := base
		change(&c)
		return &c
	}
	for _, test := range []struct {
		name            string
		claims          *playback.Claims
		header, payload string
	}{
		{"nothing but the registered claims", &base, plainHeader, `{"kid":"K1","sub":"PID1","aud":"v","exp":1800000900}`},
		{
			"kid in the header only", with(func(c *playback.Claims) { c.Kid = playback.KidHeader }),
			`{"alg":"RS256","typ":"JWT","kid":"K1"}`, `{"sub":"PID1","aud":"v","exp":1800000900}`,
		},
		{
			"kid in both", with(func(c *playback.Claims) { c.Kid = playback.KidBoth }),
			`{"alg":"RS256","typ":"JWT","kid":"K1"}`, `{"kid":"K1","sub":"PID1","aud":"v","exp":1800000900}`,
		},
		{
			"parameters come first, by name, with native types",
			with(func(c *playback.Claims) {
				c.Params = playback.Params{{Name: "asset_end_time", JSON: "60.5"}, {Name: "max_resolution", JSON: `"480p"`}, {Name: "redundant_streams", JSON: "true"}}
			}),
			plainHeader,
			`{"asset_end_time":60.5,"max_resolution":"480p","redundant_streams":true,"kid":"K1","sub":"PID1","aud":"v","exp":1800000900}`,
		},
		{
			"custom and the restriction stand at their sorted place among them",
			with(func(c *playback.Claims) {
				c.Params = playback.Params{{Name: "asset_end_time", JSON: "60"}, {Name: "max_resolution", JSON: `"480p"`}, {Name: "program_time", JSON: "1"}}
				c.Custom, c.Restriction = `{"viewer":"p1"}`, "R1"
			}),
			plainHeader,
			`{"asset_end_time":60,"custom":{"viewer":"p1"},"max_resolution":"480p","playback_restriction_id":"R1","program_time":1,"kid":"K1","sub":"PID1","aud":"v","exp":1800000900}`,
		},
		{
			"custom and the restriction without parameters",
			with(func(c *playback.Claims) { c.Custom, c.Restriction = `{"a":[1,{"b":null}]}`, "R_1-x" }),
			plainHeader,
			`{"custom":{"a":[1,{"b":null}]},"playback_restriction_id":"R_1-x","kid":"K1","sub":"PID1","aud":"v","exp":1800000900}`,
		},
		{
			"custom and the restriction after the last parameter",
			with(func(c *playback.Claims) {
				c.Params = playback.Params{{Name: "asset_end_time", JSON: "60"}}
				c.Custom, c.Restriction = `{}`, "R1"
			}),
			plainHeader,
			`{"asset_end_time":60,"custom":{},"playback_restriction_id":"R1","kid":"K1","sub":"PID1","aud":"v","exp":1800000900}`,
		},
		{
			"what is not plain is escaped", with(func(c *playback.Claims) { c.Sub = "a\"b\\c\n\u0001é\u2028" }),
			plainHeader, `{"kid":"K1","sub":"a\"b\\c\n\u0001é` + "\u2028" + `","aud":"v","exp":1800000900}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			header, payload := encoded(t, test.claims)
			if diff := cmp.Diff([]string{test.header, test.payload}, []string{header, payload}); diff != "" {
				t.Errorf("Encode: (-want +got)\n%s", diff)
			}
		})
	}
}

func TestEncodeRefusesWhatCouldAddAClaim(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*playback.Claims)
	}{
		{"a reserved name", func(c *playback.Claims) { c.Params = playback.Params{{Name: "exp", JSON: "1"}} }},
		{"an empty name", func(c *playback.Claims) { c.Params = playback.Params{{Name: "", JSON: "1"}} }},
		{"a repeated name", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: "1"}, {Name: "a", JSON: "2"}} }},
		{"names out of order", func(c *playback.Claims) { c.Params = playback.Params{{Name: "b", JSON: "1"}, {Name: "a", JSON: "2"}} }},
		{"two literals in one", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: `1,"sub":"x"`}} }},
		{"a string that ends early", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: `"x","sub":"y"`}} }},
		{"an object", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: `{}`}} }},
		{"a number with an exponent", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: `1e3`}} }},
		{"a number with a leading zero", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: `01`}} }},
		{"a number without a fraction", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: `1.`}} }},
		{"an empty literal", func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: ``}} }},
		{"custom that is no object", func(c *playback.Claims) { c.Custom = `[]` }},
		{"custom that ends early", func(c *playback.Claims) { c.Custom = `{},"sub":"x"` }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := &playback.Claims{Key: "K1", Sub: "PID1", Aud: "v", Exp: 1}
			test.change(c)
			if got, err := signer.Encode(nil, c); err == nil {
				t.Errorf("Encode(%+v) = %s, want an error", c, got)
			}
		})
	}
}

func TestEncodeMakesTheBytesThatJWXMakes(t *testing.T) {
	t.Parallel()
	ring := newRing(t, goBackend(t), active)
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	c := claims(t, ring)
	c.Params = playback.Params{{Name: "max_resolution", JSON: `"480p"`}}
	token, err := pool.Sign(t.Context(), c, playback.Turn{})
	if err != nil {
		t.Fatal(err)
	}
	_, payload := encoded(t, c)
	headers := jws.NewHeaders()
	if err := headers.Set("typ", "JWT"); err != nil {
		t.Fatal(err)
	}
	key := testKey(t, active.file)
	want, err := jws.Sign([]byte(payload), jws.WithKey(jwa.RS256, key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		t.Fatal(err)
	}
	if token.Reveal() != string(want) {
		t.Errorf("Sign = %s, jwx = %s", token.Reveal(), want)
	}
	parsed, err := jwt.Parse([]byte(token.Reveal()), jwt.WithKey(jwa.RS256, &key.PublicKey), jwt.WithValidate(false))
	if err != nil {
		t.Fatalf("jwt.Parse: %v", err)
	}
	got := map[string]any{"aud": parsed.Audience(), "sub": parsed.Subject(), "exp": parsed.Expiration().Unix(), "private": parsed.PrivateClaims()}
	if diff := cmp.Diff(map[string]any{
		"aud": []string{"v"}, "sub": "PID1", "exp": c.Exp,
		"private": map[string]any{"kid": "K1", "max_resolution": "480p"},
	}, got); diff != "" {
		t.Errorf("jwx reads other claims: (-want +got)\n%s", diff)
	}
}

func TestEncodeIntoAPreparedBufferAllocatesNothing(t *testing.T) {
	c := &playback.Claims{
		Key: "K1", Kid: playback.KidClaim, Sub: strings.Repeat("P", 255), Aud: "v", Exp: 1800000900, Restriction: "R1",
		Params: playback.Params{{Name: "asset_end_time", JSON: "60"}, {Name: "max_resolution", JSON: `"480p"`}},
	}
	buffer := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := signer.Encode(buffer, c); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Encode allocates %v times, want 0", n)
	}
}

// FuzzEncodeKeepsEveryString: whatever stands in a string claim comes out of
// the payload again, byte by byte if it was UTF-8, and adds no claim.
func FuzzEncodeKeepsEveryString(f *testing.F) {
	for _, s := range []string{"PID1", "", `"`, `\`, "\x00\x1f\x7f", "\b\f\n\r\t", "é\u2028😀", "\xff\xfe", `","exp":9,"x":"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, payload := encoded(t, &playback.Claims{Key: "K1", Sub: s, Aud: "v", Exp: 5})
		var got map[string]any
		if err := json.Unmarshal([]byte(payload), &got); err != nil {
			t.Fatalf("%q is not JSON: %v", payload, err)
		}
		want := s
		if !utf8.ValidString(s) {
			var b strings.Builder
			for _, r := range s {
				b.WriteRune(r)
			}
			want = b.String()
		}
		if diff := cmp.Diff(map[string]any{"kid": "K1", "sub": want, "aud": "v", "exp": 5.0}, got); diff != "" {
			t.Errorf("payload %q: (-want +got)\n%s", payload, diff)
		}
	})
}
