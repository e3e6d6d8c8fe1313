package identity_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/playback"
)

// TestClaims is the table of contract §3, "Viewer JWT". Times are relative to
// noon; max_lifetime is 24 hours; every token is signed by the right key.
func TestClaims(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "EdDSA")
	v := atNoon(t, p)
	at := func(d time.Duration) int64 { return noon().Add(d).Unix() }
	const day = 24 * time.Hour
	absent := identitytest.Absent{}
	type m = map[string]any
	accept := func(name string, changes m) (string, m, playback.Code) { return name, changes, "" }
	refuse := func(name string, changes m) (string, m, playback.Code) { return name, changes, invalid }
	late := func(name string, changes m) (string, m, playback.Code) { return name, changes, expired }
	check := func(name string, changes m, want playback.Code) {
		t.Helper()
		id, err := verify(v, sign(t, p, changes), prod)
		if got := codeOf(t, err); got != want || (id == nil) != (want != "") {
			t.Errorf("%s: %q (%v), want %q", name, got, err, want)
		}
	}

	check(accept("as it should be", nil))
	check(refuse("wrong iss", m{"iss": "https://evil.example"}))
	check(refuse("iss with a slash more", m{"iss": issuerURL + "/"}))
	check(refuse("iss in other case", m{"iss": strings.ToUpper(issuerURL)}))
	check(refuse("no iss", m{"iss": absent}))
	check(refuse("empty iss", m{"iss": ""}))
	check(refuse("iss not a string", m{"iss": []string{issuerURL}}))

	check(accept("aud in an array", m{"aud": []string{"other", audience}}))
	check(accept("aud alone in an array", m{"aud": []string{audience}}))
	check(refuse("wrong aud", m{"aud": "other"}))
	check(refuse("wrong auds", m{"aud": []string{"other", audience + "2"}}))
	check(refuse("aud in other case", m{"aud": "PLAYGATE"}))
	check(refuse("auds in one string", m{"aud": "other playgate"}))
	check(refuse("no aud", m{"aud": absent}))
	check(refuse("null aud", m{"aud": nil}))
	check(refuse("empty aud", m{"aud": []string{}}))
	check(refuse("aud with a number", m{"aud": []any{audience, 7}}))
	check(refuse("aud an object", m{"aud": m{audience: true}}))
	check(refuse("aud nested", m{"aud": []any{[]any{audience}}}))

	check(refuse("no exp", m{"exp": absent}))
	check(refuse("null exp", m{"exp": nil}))
	check(refuse("string exp", m{"exp": "1795525200"}))
	check(refuse("boolean exp", m{"exp": true}))
	check(refuse("array exp", m{"exp": []int64{at(time.Hour)}}))
	check(refuse("negative exp", m{"exp": -1}))
	check(refuse("exp 1e18", m{"exp": 1e18}))
	check(refuse("exp 1e308", m{"exp": 1e308}))
	check(refuse("exp in milliseconds", m{"exp": at(time.Hour) * 1000}))
	check(refuse("exp in the year 10000", m{"exp": int64(253402300800)}))
	check(refuse("exp past int64", m{"exp": json.Number("9223372036854775808")}))
	check(refuse("exp past float64", m{"exp": json.Number("1e400")}))
	check(accept("exp with a fraction", m{"exp": float64(at(time.Hour)) + 0.5}))
	check(accept("exp with an exponent", m{"exp": json.Number("1.7954388e9"), "iat": at(0)}))
	check(accept("exp now: leeway", m{"exp": at(0)}))
	check(accept("exp 29 s ago: leeway", m{"exp": at(-29 * time.Second)}))
	check(accept("exp 29.5 s ago", m{"exp": float64(at(-29*time.Second)) - 0.5}))
	check(late("exp 30 s ago", m{"exp": at(-30 * time.Second)}))
	check(late("exp an hour ago", m{"exp": at(-time.Hour)}))
	check(late("exp in 1970", m{"exp": 0, "iat": absent}))

	check(accept("exactly max_lifetime after iat", m{"exp": at(day)}))
	check(refuse("a second more than max_lifetime after iat", m{"exp": at(day + time.Second)}))
	check(accept("exactly max_lifetime from now", m{"iat": absent, "exp": at(day)}))
	check(refuse("a second more than max_lifetime from now", m{"iat": absent, "exp": at(day + time.Second)}))
	check(refuse("long-lived, though nearly over", m{"iat": at(-day), "exp": at(time.Hour)}))
	check(refuse("for ever", m{"exp": int64(253402300799)}))
	check(refuse("for ever, iat in the far future", m{"iat": int64(253402300799 - 60), "exp": int64(253402300799)}))
	check(refuse("iat ahead stretches the lifetime", m{"iat": at(time.Hour), "exp": at(day + time.Hour)}))
	check(refuse("lived too long and is over", m{"iat": at(-3 * day), "exp": at(-day)}))

	check(accept("iat 30 s ahead: leeway", m{"iat": at(30 * time.Second)}))
	check(refuse("iat 31 s ahead", m{"iat": at(31 * time.Second)}))
	check(accept("no iat", m{"iat": absent}))
	check(refuse("string iat", m{"iat": "0"}))
	check(refuse("null iat", m{"iat": nil}))
	check(refuse("iat 1e18", m{"iat": 1e18}))
	check(refuse("negative iat", m{"iat": -5}))

	check(accept("nbf past", m{"nbf": at(-time.Hour)}))
	check(accept("nbf 30 s ahead: leeway", m{"nbf": at(30 * time.Second)}))
	check(refuse("nbf 31 s ahead", m{"nbf": at(31 * time.Second)}))
	check(refuse("nbf half a second too late", m{"nbf": float64(at(30*time.Second)) + 0.5}))
	check(refuse("string nbf", m{"nbf": "0"}))
	check(refuse("null nbf", m{"nbf": nil}))
	check(refuse("nbf 1e18", m{"nbf": 1e18}))

	check(accept("sub of 255 characters", m{"sub": strings.Repeat("é", 255)}))
	check(accept("sub of any script", m{"sub": "Zoë 東京 🎬"}))
	check(refuse("sub of 256 characters", m{"sub": strings.Repeat("é", 256)}))
	check(refuse("no sub", m{"sub": absent}))
	check(refuse("empty sub", m{"sub": ""}))
	check(refuse("null sub", m{"sub": nil}))
	check(refuse("sub a number", m{"sub": 7}))
	check(refuse("sub with NUL", m{"sub": "u1\x00"}))
	check(refuse("sub with a newline", m{"sub": "u1\nadmin"}))
	check(refuse("sub with DEL", m{"sub": "u1\x7f"}))
	check(refuse("sub with a C1 control", m{"sub": "u1\u0085"}))
}

// TestOddClaims are payloads that no JSON encoder writes.
func TestOddClaims(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "EdDSA")
	v := atNoon(t, p)
	good := payload(t, nil)
	with := func(member string) string { return strings.TrimSuffix(good, "}") + "," + member + "}" }
	for name, c := range map[string]struct {
		payload string
		want    playback.Code
	}{
		"good":                          {good, ""},
		"white space":                   {" \n\t" + good + "\r\n", ""},
		"surrogate pair":                {with(`"x":"\ud83c\udfac"`), ""},
		"escaped backslash and u":       {with(`"x":"\\ud800"`), ""},
		"sub twice":                     {with(`"sub":"admin"`), invalid},
		"the same sub twice":            {with(`"sub":"u1"`), invalid},
		"sub twice, once escaped":       {with(`"s\u0075b":"admin"`), invalid},
		"exp twice":                     {with(`"exp":99999999999`), invalid},
		"aud twice":                     {with(`"aud":"other"`), invalid},
		"a nested member twice":         {with(`"x":{"y":[{"a":1,"a":1}]}`), invalid},
		"sub in other case is no sub":   {strings.Replace(good, `"sub"`, `"Sub"`, 1), invalid},
		"lone high surrogate":           {with(`"x":"\ud800"`), invalid},
		"lone low surrogate":            {with(`"x":"\udc00"`), invalid},
		"surrogates swapped":            {with(`"x":"\udfac\ud83c"`), invalid},
		"high surrogate twice":          {with(`"x":"\ud83c\ud83c"`), invalid},
		"high surrogate and n":          {with(`"x":"\ud83c\n"`), invalid},
		"high surrogate before a quote": {with(`"x":"\ud83c"`), invalid},
		"lone surrogate in a name":      {with(`"\ud800":1`), invalid},
		"not UTF-8":                     {with(`"x":"` + "\xc3\x28" + `"`), invalid},
		"overlong UTF-8":                {with(`"x":"` + "\xc0\xaf" + `"`), invalid},
		"CESU-8 surrogate":              {with(`"x":"` + "\xed\xa0\x80" + `"`), invalid},
		"byte order mark":               {"\ufeff" + good, invalid},
		"control character in a string": {with("\"x\":\"a\nb\""), invalid},
		"trailing comma":                {strings.TrimSuffix(good, "}") + ",}", invalid},
		"something after":               {good + "1", invalid},
		"two objects":                   {good + good, invalid},
		"an array":                      {"[" + good + "]", invalid},
		"a string":                      {`"x"`, invalid},
		"null":                          {`null`, invalid},
		"nothing":                       {``, invalid},
		"comment":                       {with(`"x":1/**/`), invalid},
		"NaN":                           {with(`"x":NaN`), invalid},
		"Infinity":                      {with(`"x":-Infinity`), invalid},
		"number out of range":           {with(`"x":1e400`), invalid},
		"number out of range, nested":   {with(`"x":[{"y":-1e999}]`), invalid},
		"hexadecimal":                   {with(`"x":0x10`), invalid},
		"leading zero":                  {with(`"x":01`), invalid},
		"plus":                          {with(`"x":+1`), invalid},
		"32 levels":                     {with(`"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31)), ""},
		"33 levels":                     {with(`"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32)), invalid},
		"3000 levels":                   {with(`"x":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000)), invalid},
	} {
		id, err := verify(v, compact(t, p, `{"alg":"EdDSA"}`, c.payload), prod)
		if got := codeOf(t, err); got != c.want || (id == nil) != (c.want != "") {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
}

// TestExpiredForgeryIsInvalid: whoever cannot sign does not learn that the
// token would be expired.
func TestExpiredForgeryIsInvalid(t *testing.T) {
	t.Parallel()
	p, evil := provider(t, noon), provider(t, noon)
	v := atNoon(t, p)
	over := map[string]any{"exp": noon().Add(-time.Hour).Unix(), "iat": noon().Add(-2 * time.Hour).Unix()}
	wantCode(t, v, sign(t, p, over), expired)
	wantCode(t, v, sign(t, evil, over), invalid)
	over["aud"] = "other"
	wantCode(t, v, sign(t, p, over), invalid)
}

// TestAllClaimsBecomeViewerClaims, with JSON's types and numbers as float64.
func TestAllClaimsBecomeViewerClaims(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "EdDSA")
	v := atNoon(t, p)
	raw := compact(t, p, `{"alg":"EdDSA"}`, payload(t, map[string]any{
		"plan": "premium", "age": 41, "score": 1.5, "adult": true, "none": nil,
		"groups": []any{"a", 7, false, nil, []any{}}, "address": map[string]any{"country": "DE", "floors": map[string]any{}},
	}))
	id, err := verify(v, raw, prod)
	if err != nil {
		t.Fatal(err)
	}
	want := &identity.Identity{
		Environment: prod,
		Expires:     noon().Add(time.Hour),
		Name:        "v:acme-prod:main:u1",
		Viewer: &playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true, Claims: map[string]any{
			"iss": issuerURL, "aud": audience, "sub": "u1", "exp": float64(noon().Unix() + 3600),
			"plan": "premium", "age": 41.0, "score": 1.5, "adult": true, "none": nil,
			"groups":  []any{"a", 7.0, false, nil, []any{}},
			"address": map[string]any{"country": "DE", "floors": map[string]any{}},
		}},
	}
	if diff := cmp.Diff(want, id); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

// TestInspectShowsIssuerAndRecipients, which is all that choosing an environment
// takes, and keeps none of the caller's memory.
func TestInspectShowsIssuerAndRecipients(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	v := identity.New(identity.Config{})
	raw := []byte(sign(t, p, map[string]any{"aud": []string{"a", "b"}}))
	claim, err := v.Inspect(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	if want := append(forAudience("a"), forAudience("b")...); claim.Issuer != issuerURL || !cmp.Equal(claim.Recipients, want) {
		t.Errorf("Inspect() = %q, %q", claim.Issuer, claim.Recipients)
	}
}

// TestClaimOfAnotherTokenIsOfNoUse: Verify believes the token, not what it is
// told about it.
func TestClaimOfAnotherTokenIsOfNoUse(t *testing.T) {
	t.Parallel()
	p, evil := provider(t, noon), provider(t, noon)
	v := atNoon(t, p)
	good, forged := sign(t, p, nil), sign(t, evil, map[string]any{"sub": "admin"})
	goodClaim, err := v.Inspect(good)
	if err != nil {
		t.Fatal(err)
	}
	forgedClaim, err := v.Inspect(forged)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := v.Verify(forged, goodClaim, prod); codeOf(t, err) != invalid {
		t.Errorf("forged token with a good token's claim: %v, %v", id, err)
	}
	for _, claim := range []identity.Claim{forgedClaim, {}, {Issuer: "x", Recipients: forAudience("y")}} {
		if id, err := v.Verify(good, claim, prod); err != nil || id.Viewer.ID != "u1" {
			t.Errorf("good token with claim %v: %v, %v", claim.Issuer, id, err)
		}
	}
}
