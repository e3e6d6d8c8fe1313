package server_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// clients are the two environments of most tests, which accept tokens without
// aud as well: acme those of the client app, globex those of the site.
func clients(options options) options {
	if options.tenants == nil {
		options.tenants = tenants()
	}
	for i, r := range []playback.Recipient{
		{Claim: playback.RecipientClientID, Value: "app"},
		{Claim: playback.RecipientAuthorizedParty, Value: "site"},
	} {
		e := &options.tenants[i].Environments[0]
		e.Issuers = append(e.Issuers, tenant.IssuerRef{Issuer: "https://idp", Recipients: []playback.Recipient{r}, Alias: "pool"})
	}
	return options
}

// viewer tokens without aud, of the fake identity.
const (
	appViewer  = "https://idp.client_id=app.u1"
	siteViewer = "https://idp.azp=site.u1"
)

// TestWhichEnvironmentAnswersATokenWithoutAud: that of its client, as that of
// its audience for others; an audience of the same name leads nowhere.
func TestWhichEnvironmentAnswersATokenWithoutAud(t *testing.T) {
	t.Parallel()
	k := start(t, clients(options{}))
	for _, c := range []struct {
		name, host, token string
		status            int
		code              playback.Code
		want              playback.EnvironmentID
	}{
		{"client_id", "other.example", appViewer, 200, "", acme},
		{"azp", "other.example", siteViewer, 200, "", globex},
		{"host agrees", acmeHost, appViewer, 200, "", acme},
		{"host disagrees", globexHost, appViewer, 401, playback.CodeInvalidCredentials, ""},
		{"the ID in the other claim", acmeHost, "https://idp.azp=app.u1", 401, playback.CodeInvalidCredentials, ""},
		{"the ID as an audience", acmeHost, "https://idp.app.u1", 401, playback.CodeInvalidCredentials, ""},
		{"an audience as the ID", acmeHost, "idp-acme.client_id=playgate.u1", 401, playback.CodeInvalidCredentials, ""},
		{"neither", acmeHost, "https://idp..u1", 401, playback.CodeInvalidCredentials, ""},
	} {
		r := k.get(aToken, "Host: "+c.host, bearer(c.token))
		if r.StatusCode != c.status || r.code() != c.code {
			t.Errorf("%s: answered %d %q, want %d %q", c.name, r.StatusCode, r.code(), c.status, c.code)
		} else if c.status == 200 && k.issuer.last(t).Environment != c.want {
			t.Errorf("%s: environment %q, want %q", c.name, k.issuer.last(t).Environment, c.want)
		}
	}
}

// TestTheAddressLimitOfATokenWithoutAud is that of its client's environment,
// before anything is verified.
func TestTheAddressLimitOfATokenWithoutAud(t *testing.T) {
	t.Parallel()
	o := clients(withLimits("", "", ""))
	o.tenants[0].Environments[0].RateLimits.IP = "3-M"
	o.tenants[1].Environments[0].RateLimits.IP = "5-M"
	o.unresolved = "7-M"
	k := start(t, o)
	for token, want := range map[string]string{
		appViewer + ".forged": "3", siteViewer + ".forged": "5", "https://idp.client_id=other.u1": "7", "https://idp.app.u1": "7",
	} {
		r := k.get(aToken, "Host: other.example", bearer(token))
		k.want(r, 401, playback.CodeInvalidCredentials)
		if got := r.Header.Get("Ratelimit-Limit"); got != want {
			t.Errorf("%s is charged to the limit %s, want %s", token, got, want)
		}
	}
}

// causes returns what the log says of the refusals so far.
func (k *kit) causes() (all []string) {
	k.t.Helper()
	for line := range strings.Lines(k.log.text()) {
		var event struct{ Cause string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			k.t.Fatal(err)
		}
		all = append(all, event.Cause)
	}
	return all
}

// TestTheLogSaysWhichIssuerAndAudienceWereSeen where no environment accepts
// them, and which are configured; the client learns neither.
func TestTheLogSaysWhichIssuerAndAudienceWereSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ token, want string }{
		{
			"https://idp/.client_id=app.u1",
			`no environment has iss "https://idp/", no aud, client_id "app"; the nearest: environment acme-prod has iss "https://idp", no aud, client_id "app": only the slash at the end of iss differs`,
		},
		{
			"idp-acme.other.u1",
			`no environment has iss "idp-acme", aud "other"; the nearest: environment acme-prod has iss "idp-acme", aud "playgate": aud differs`,
		},
		{
			"idp-acme..u1",
			`no environment has iss "idp-acme", no aud, client_id or azp; the nearest: environment acme-prod has iss "idp-acme", aud "playgate": the token has no aud; client_id_claim is for such`,
		},
		{
			"https://idp.app.u1",
			`no environment has iss "https://idp", aud "app"; the nearest: environment acme-prod has iss "https://idp", no aud, client_id "app": client_id_claim is for tokens without aud, and this one has it`,
		},
		{appViewer, "the host is of environment globex-prod, the credential of acme-prod"},
		{sharedViewer, `iss "idp-shared", aud "playgate" are accepted by acme-prod, globex-prod, and the host is none of theirs`},
	} {
		k := start(t, clients(options{}))
		host := "other.example"
		if c.token == appViewer {
			host = globexHost
		}
		r := k.get(aToken, "Host: "+host, bearer(c.token))
		if got := k.causes(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: causes\n%q, want\n%q", c.token, got, c.want)
		}
		if strings.Contains(r.body, "acme") || strings.Contains(r.body, "idp") {
			t.Errorf("%s: the answer tells %s", c.token, r.body)
		}
	}
}

// TestStrangersCannotFillTheLog: what a token says is quoted and cut, and it is
// compared with the configuration a few times a second at most.
func TestStrangersCannotFillTheLog(t *testing.T) {
	t.Parallel()
	k := start(t, clients(options{}))
	long := strings.Repeat("x", 3000)
	k.want(k.get(aToken, bearer("https://"+long+"\u202e\u2028."+long+".u1")), 401, playback.CodeInvalidCredentials)
	cause := k.causes()[0]
	if len(cause) > 1000 || strings.ContainsFunc(cause, func(r rune) bool { return r < ' ' || r > '~' && r != '…' }) {
		t.Errorf("cause of %d bytes: %s", len(cause), cause)
	}
	compared := func() int { return strings.Count(k.log.text(), "the nearest") }
	for range 20 {
		k.want(k.get(aToken, bearer("idp.x.u1")), 401, playback.CodeInvalidCredentials)
	}
	if n := compared(); n != 5 {
		t.Errorf("%d comparisons in one second, want 5", n)
	}
	if n := strings.Count(k.log.text(), `no environment has iss \"idp\", aud \"x\"`); n != 20 {
		t.Errorf("%d causes, want one for each refusal", n)
	}
	k.clock.advance(time.Second)
	k.want(k.get(aToken, bearer("idp.x.u1")), 401, playback.CodeInvalidCredentials)
	if n := compared(); n != 6 {
		t.Errorf("%d comparisons after another second, want 6", n)
	}
}
