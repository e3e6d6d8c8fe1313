package tenant_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func TestNearestNamesTheUsualMistakes(t *testing.T) {
	t.Parallel()
	d := mustDirectory(t, org("acme",
		tenant.Environment{ID: "auth0", Issuers: []tenant.IssuerRef{ref("https://acme.eu.auth0.com/", "https://api.acme.example")}},
		tenant.Environment{ID: "keycloak", Issuers: []tenant.IssuerRef{ref("https://sso.acme.example/realms/main", "playgate"), ref("https://sso.acme.example/realms/tv", "tv")}},
		tenant.Environment{ID: "google", Issuers: []tenant.IssuerRef{ref("https://accounts.google.com", "app")}},
		tenant.Environment{ID: "clerk", Issuers: []tenant.IssuerRef{
			{Issuer: "https://clerk.acme.example", Recipients: recipients(playback.RecipientAuthorizedParty, "https://acme.example")},
		}},
	))
	for _, c := range []struct {
		issuer     string
		recipients []playback.Recipient
		want       []string
	}{
		{"https://acme.eu.auth0.com", auds("https://api.acme.example"), []string{"environment auth0 ", "only the slash"}},
		{"https://acme.eu.auth0.com/", auds("https://api.acme.example/"), []string{"environment auth0 ", "aud differs", `"https://api.acme.example"`}},
		{"https://ACME.eu.auth0.com/", auds("https://api.acme.example"), []string{"environment auth0 ", "only upper and lower case"}},
		{"accounts.google.com", auds("app"), []string{"environment google ", "only the scheme"}},
		{"http://Accounts.google.com/", auds("app"), []string{"environment google ", "only scheme, case"}},
		{"https://sso.acme.example/auth/realms/main", auds("playgate"), []string{"environment keycloak ", `realms/main"`, "iss differs"}},
		{"https://sso.acme.example/realms/tx", auds("tv"), []string{"environment keycloak ", `realms/tv"`, "iss differs"}},
		{"https://clerk.acme.example", recipients(playback.RecipientAuthorizedParty, "https://www.acme.example"), []string{"environment clerk ", "azp differ"}},
		{"https://clerk.acme.example", nil, []string{"environment clerk ", `azp "https://acme.example"`}},
		{"https://unknown.example", nil, []string{"iss differs"}},
	} {
		got := d.Nearest(c.issuer, c.recipients)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("Nearest(%q, %q) = %s, want %q in it", c.issuer, c.recipients, got, want)
			}
		}
	}
	if got := mustDirectory(t).Nearest("x", nil); got != "" {
		t.Errorf("Nearest of nothing = %q", got)
	}
}

// TestSeenIsBounded whatever a token says.
func TestSeenIsBounded(t *testing.T) {
	t.Parallel()
	many := auds("a\n\x1b[31m", "b", strings.Repeat("\xff", 200), "d", "e", "f")
	want := `iss "i", aud "a\n\x1b[31m" or "b" or "` + strings.Repeat(`\xff`, 128) + `"… or "d" and 2 more`
	if got := tenant.Seen("i", many); got != want {
		t.Errorf("Seen() = %s, want %s", got, want)
	}
	for _, c := range []struct {
		given []playback.Recipient
		want  string
	}{
		{nil, `iss "i", no aud, client_id or azp`},
		{recipients(playback.RecipientClientID, "c"), `iss "i", no aud, client_id "c"`},
		{append(recipients(playback.RecipientClientID, "c"), recipients(playback.RecipientAuthorizedParty, "z")...), `iss "i", no aud, client_id "c", azp "z"`},
	} {
		if got := tenant.Seen("i", c.given); got != c.want {
			t.Errorf("Seen(%v) = %s, want %s", c.given, got, c.want)
		}
	}
	huge := strings.Repeat("\U000e0001", 10_000)
	if n := len(tenant.Seen(huge, auds(huge, huge, huge, huge, huge, huge))); n > 5000 {
		t.Errorf("%d bytes", n)
	}
}
