package identity_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/playback"
)

// other is a second issuer, in staging.
func other() identity.Issuer {
	i := trust(staging)
	i.Issuer, i.JWKSURL = "https://idp.other.example", "https://idp.other.example/jwks.json"
	return i
}

func otherProvider(t testing.TB, now func() time.Time) *identitytest.Provider {
	t.Helper()
	p, err := identitytest.New(identitytest.Config{Issuer: "https://idp.other.example", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestKidsOfTwoIssuersAreNotConfused: both publish another key under the same
// kid, and each signs tokens that claim to be the other's.
func TestKidsOfTwoIssuersAreNotConfused(t *testing.T) {
	t.Parallel()
	p, q := provider(t, noon), otherProvider(t, noon)
	if !slices.Equal(p.KeyIDs(), q.KeyIDs()) {
		t.Fatal("the providers' kids differ")
	}
	v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p, "idp.other.example": q}}, trust(prod), other())
	for name, c := range map[string]struct {
		raw         string
		environment playback.EnvironmentID
		want        playback.Code
	}{
		"p in prod":                  {sign(t, p, nil), prod, ""},
		"q in staging":               {sign(t, q, nil), staging, ""},
		"p in staging":               {sign(t, p, nil), staging, invalid},
		"q in prod":                  {sign(t, q, nil), prod, invalid},
		"p as q, in staging":         {sign(t, p, map[string]any{"iss": q.Issuer()}), staging, invalid},
		"q as p, in prod":            {sign(t, q, map[string]any{"iss": p.Issuer()}), prod, invalid},
		"p as q, in prod":            {sign(t, p, map[string]any{"iss": q.Issuer()}), prod, invalid},
		"p in no environment":        {sign(t, p, nil), "", invalid},
		"p in an unknown one":        {sign(t, p, nil), "acme-dev", invalid},
		"p in prod with another aud": {sign(t, p, map[string]any{"aud": "other"}), prod, invalid},
	} {
		id, err := verify(v, c.raw, c.environment)
		if got := codeOf(t, err); got != c.want || (id == nil) != (c.want != "") {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
}

// TestRememberedIdentityStaysInItsEnvironment: a Host that names another
// environment does not find it.
func TestRememberedIdentityStaysInItsEnvironment(t *testing.T) {
	t.Parallel()
	p, q := provider(t, noon), otherProvider(t, noon)
	v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p, "idp.other.example": q}}, trust(prod), other())
	raw := sign(t, p, nil)
	mustVerify(t, v, raw, prod)
	for host, want := range map[playback.EnvironmentID]bool{"": true, prod: true, staging: false, "acme-dev": false} {
		if id, ok := v.Remembered(raw, host, time.Time{}); ok != want || ok && id.Environment != prod {
			t.Errorf("Remembered(host %q) = %v, %t, want %t", host, id, ok, want)
		}
	}
}

// TestSharedIssuerIsRememberedPerEnvironment: two environments trust the same
// pair of iss and aud, and only Host tells them apart.
func TestSharedIssuerIsRememberedPerEnvironment(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	same, differs := trust(staging), trust(staging)
	same.Alias, differs.Alias = "staging", "staging"
	differs.Recipients = forAudience("playgate-staging")
	for name, c := range map[string]struct {
		second identity.Issuer
		aud    any
	}{
		"the same pair":              {same, audience},
		"two audiences in one token": {differs, []string{audience, "playgate-staging"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, trust(prod), c.second)
			raw := sign(t, p, map[string]any{"aud": c.aud})
			look := func(want map[playback.EnvironmentID]string) {
				t.Helper()
				for _, host := range []playback.EnvironmentID{"", prod, staging, "acme-dev"} {
					alias := ""
					if id, ok := v.Remembered(raw, host, time.Time{}); ok {
						alias = id.Viewer.Issuer
						if id.Environment != host {
							t.Errorf("Remembered(host %q) is of %s", host, id.Environment)
						}
					}
					if alias != want[host] {
						t.Errorf("Remembered(host %q) has alias %q, want %q", host, alias, want[host])
					}
				}
			}
			mustVerify(t, v, raw, prod)
			look(map[playback.EnvironmentID]string{prod: "main"})
			mustVerify(t, v, raw, staging)
			look(map[playback.EnvironmentID]string{prod: "main", staging: "staging"})
		})
	}
}

// TestIssuerThatBecomesSharedIsAmbiguousAtOnce: identities remembered without
// regard to Host do not survive the reload that makes Host matter.
func TestIssuerThatBecomesSharedIsAmbiguousAtOnce(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	v := atNoon(t, p)
	raw := sign(t, p, nil)
	mustVerify(t, v, raw, prod)
	if err := v.SetIssuers([]identity.Issuer{trust(prod), trust(staging)}); err != nil {
		t.Fatal(err)
	}
	for _, host := range []playback.EnvironmentID{"", prod, staging} {
		if id, ok := v.Remembered(raw, host, time.Time{}); ok {
			t.Errorf("Remembered(host %q) = %v", host, id)
		}
	}
	mustVerify(t, v, raw, staging)
	if _, ok := v.Remembered(raw, "", time.Time{}); ok {
		t.Error("remembered without a Host")
	}
	if _, ok := v.Remembered(raw, prod, time.Time{}); ok {
		t.Error("remembered in an environment that it was not verified for")
	}
}

// TestReload: what a new list of issuers changes, and what it does not.
func TestReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, q := provider(t, nil), otherProvider(t, nil)
		server := new(replaceable)
		server.set(p)
		v := bubble(t, network{host: server, "idp.other.example": q}, trust(prod))
		raw := sign(t, p, nil)
		mustVerify(t, v, raw, prod)
		server.set(down()) // from here on only kept keys can verify

		reload(t, v, trust(prod))
		if !remembers(v, raw) {
			t.Error("the same list made a viewer be forgotten")
		}
		reload(t, v, trust(prod), other())
		wantCode(t, v, raw, "")
		if _, err := verify(v, sign(t, q, nil), staging); err != nil {
			t.Errorf("the new issuer: %v", err)
		}

		changed := trust(prod)
		changed.Alias = "renamed"
		reload(t, v, changed)
		if remembers(v, raw) {
			t.Error("remembered though its issuer was changed")
		}
		if id := mustVerify(t, v, raw, prod); id.Viewer.Issuer != "renamed" {
			t.Errorf("alias %q, want the new one", id.Viewer.Issuer)
		}

		changed.Algorithms = []string{"RS256"}
		reload(t, v, changed)
		if remembers(v, raw) {
			t.Error("remembered though its algorithm is not pinned any more")
		}
		wantCode(t, v, raw, invalid)

		changed = trust(prod)
		changed.MaxLifetime = time.Minute
		reload(t, v, changed)
		wantCode(t, v, raw, invalid)

		reload(t, v, trust(prod))
		wantCode(t, v, raw, "")
		reload(t, v, other())
		if remembers(v, raw) {
			t.Error("remembered though its issuer is gone")
		}
		wantCode(t, v, raw, invalid)
	})
}

// TestBadIssuersAreRefusedWhole: every problem is told and the old list stays.
func TestBadIssuersAreRefusedWhole(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	v := atNoon(t, p)
	raw := sign(t, p, nil)
	with := func(change func(*identity.Issuer)) []identity.Issuer {
		i := trust(staging)
		change(&i)
		return []identity.Issuer{trust(prod), i}
	}
	url := func(u string) []identity.Issuer { return with(func(i *identity.Issuer) { i.JWKSURL = u }) }
	for name, issuers := range map[string][]identity.Issuer{
		"no environment":  with(func(i *identity.Issuer) { i.Environment = "" }),
		"bad environment": with(func(i *identity.Issuer) { i.Environment = "Acme" }),
		"no issuer":       with(func(i *identity.Issuer) { i.Issuer = "" }),
		"no alias":        with(func(i *identity.Issuer) { i.Alias = "" }),
		"no audience":     with(func(i *identity.Issuer) { i.Recipients = nil }),
		"empty audience":  with(func(i *identity.Issuer) { i.Recipients = forAudience("") }),
		"audience twice":  with(func(i *identity.Issuer) { i.Recipients = append(i.Recipients, i.Recipients...) }),
		"one audience of two": with(func(i *identity.Issuer) {
			i.Environment, i.Alias, i.Recipients = prod, "second", append(forAudience("x"), i.Recipients...)
		}),
		"CAs without a certificate": with(func(i *identity.Issuer) { i.CAs = "-----BEGIN CERTIFICATE-----" }),
		"negative iat leeway":       with(func(i *identity.Issuer) { i.IATLeeway = -1 }),
		"no keys":                   url(""),
		"two places of keys":        with(func(i *identity.Issuer) { i.JWKSFile = "jwks.json" }),
		"no algorithm":              with(func(i *identity.Issuer) { i.Algorithms = nil }),
		"alg none":                  with(func(i *identity.Issuer) { i.Algorithms = []string{"none"} }),
		"HMAC":                      with(func(i *identity.Issuer) { i.Algorithms = []string{"RS256", "HS256"} }),
		"no lifetime":               with(func(i *identity.Issuer) { i.MaxLifetime = 0 }),
		"negative lifetime":         with(func(i *identity.Issuer) { i.MaxLifetime = -1 }),
		"alias twice":               with(func(i *identity.Issuer) { i.Environment, i.Issuer = prod, "https://x.example" }),
		"pair twice":                with(func(i *identity.Issuer) { i.Environment, i.Alias = prod, "second" }),
		"plain http":                url("http://idp.acme.example/jwks.json"),
		"plain http, almost":        url("http://localhost.evil.example/jwks.json"),
		"plain http, 127":           url("http://127.0.0.1.evil.example/"),
		"other scheme":              url("file:///etc/passwd"),
		"no scheme":                 url("idp.acme.example/jwks.json"),
		"no host":                   url("https:///jwks.json"),
		"password":                  url("https://u:p@idp.acme.example/"),
		"not a URL":                 url("https://[::1"),
		"link-local":                url("https://169.254.169.254/latest"),
		"link-local, mapped":        url("https://[::ffff:169.254.169.254]/latest"),
		"link-local, IPv6":          url("https://[fe80::1%25eth0]/"),
		"unspecified":               url("https://0.0.0.0/"),
		"unspecified, IPv6":         url("http://[::]/"),
		"loopback, not http":        url("ftp://127.0.0.1/"),
	} {
		if err := v.SetIssuers(issuers); err == nil {
			t.Errorf("%s: accepted", name)
			if err := v.SetIssuers([]identity.Issuer{trust(prod)}); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, v, raw, "")
	}
	for _, good := range []string{
		"https://idp.acme.example:8443/jwks.json?tenant=1", "http://127.0.0.1:1/", "http://127.1.2.3/", "http://[::1]:1/",
		"http://localhost:1/", "http://idp.localhost:1/", "http://[::ffff:127.0.0.1]:1/", "https://10.0.0.1/", "https://LOCALHOST/",
	} {
		i := trust(staging)
		i.JWKSURL = good
		if err := i.Validate(); err != nil {
			t.Errorf("Validate(%s) = %v", good, err)
		}
	}
}

// TestIssuersAreCopied: changing the list afterwards changes nothing.
func TestIssuersAreCopied(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	list := []identity.Issuer{trust(prod)}
	v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, list...)
	list[0].Algorithms[6] = "EdDSA" // was ES256
	list[0].Recipients[0].Value = "x"
	wantCode(t, v, sign(t, p, nil), "")
}
