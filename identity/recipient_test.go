package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/playback"
)

func forClient(claim playback.RecipientClaim, values ...string) (all []playback.Recipient) {
	for _, value := range values {
		all = append(all, playback.Recipient{Claim: claim, Value: value})
	}
	return all
}

// TestRecipients: whom a token says that it is for. A token with aud is for its
// audience alone, whatever client it was issued to (RFC 7519 §4.1.3).
func TestRecipients(t *testing.T) {
	t.Parallel()
	absent := identitytest.Absent{}
	type m = map[string]any
	client, party := playback.RecipientClientID, playback.RecipientAuthorizedParty
	p := provider(t, noon)
	v := identity.New(identity.Config{})
	for name, c := range map[string]struct {
		claims m
		want   []playback.Recipient
	}{
		"aud":                              {m{"aud": "a"}, forAudience("a")},
		"aud beside client_id and azp":     {m{"aud": []string{"a"}, "client_id": "c", "azp": "z"}, forAudience("a")},
		"client_id":                        {m{"aud": absent, "client_id": "c"}, forClient(client, "c")},
		"azp":                              {m{"aud": absent, "azp": "https://app.example"}, forClient(party, "https://app.example")},
		"client_id and azp":                {m{"aud": absent, "client_id": "c", "azp": "z"}, append(forClient(client, "c"), forClient(party, "z")...)},
		"null aud":                         {m{"aud": nil, "client_id": "c"}, forClient(client, "c")},
		"aud without members":              {m{"aud": []string{}, "client_id": "c"}, forClient(client, "c")},
		"aud with an empty member":         {m{"aud": []string{""}, "client_id": "c"}, forAudience("")},
		"none":                             {m{"aud": absent}, nil},
		"client_id empty, azp an array":    {m{"aud": absent, "client_id": "", "azp": []string{"z"}}, nil},
		"client_id null, azp a number":     {m{"aud": absent, "client_id": nil, "azp": 7}, nil},
		"a client in another claim":        {m{"aud": absent, "cid": "c", "appid": "c", "Client_ID": "c"}, nil},
		"client_id in an object of claims": {m{"aud": absent, "act": m{"client_id": "c"}}, nil},
	} {
		claim, err := v.Inspect(sign(t, p, c.claims))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(c.want, claim.Recipients); diff != "" {
			t.Errorf("%s: recipients (-want +got):\n%s", name, diff)
		}
	}
	for name, aud := range map[string]any{"empty": "", "a number": 7, "an object": m{}, "a number in an array": []any{"a", 7}} {
		if _, err := v.Inspect(sign(t, p, m{"aud": aud, "client_id": "c"})); codeOf(t, err) != invalid {
			t.Errorf("aud is %s: %v, want %s", name, err, invalid)
		}
	}
}

// TestClientIDClaim: an issuer whose tokens have no aud, as Cognito's access
// tokens and Clerk's session tokens.
func TestClientIDClaim(t *testing.T) {
	t.Parallel()
	absent := identitytest.Absent{}
	type m = map[string]any
	p := provider(t, noon)
	for claim, other := range map[playback.RecipientClaim]string{
		playback.RecipientClientID: "azp", playback.RecipientAuthorizedParty: "client_id",
	} {
		i := trust(prod)
		i.Recipients = forClient(claim, "app1", "app2")
		v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, i)
		name := string(claim)
		for _, c := range []struct {
			claims m
			want   playback.Code
		}{
			{m{"aud": absent, name: "app1"}, ""},
			{m{"aud": absent, name: "app2"}, ""},
			{m{"aud": []string{}, name: "app1"}, ""},
			{m{"aud": absent, name: "app3"}, invalid},
			{m{"aud": absent, name: "APP1"}, invalid},
			{m{"aud": absent, name: []string{"app1"}}, invalid},
			{m{"aud": absent, other: "app1"}, invalid},
			{m{"aud": absent}, invalid},
			{m{"aud": "app1"}, invalid},
			{m{"aud": "app1", name: "app1"}, invalid},
			{m{"aud": "other", name: "app1"}, invalid},
			{m{"aud": []string{"other", "app1"}, name: "app1"}, invalid},
			{m{"aud": absent, name: "app1", "iss": "https://evil.example"}, invalid},
		} {
			id, err := verify(v, sign(t, p, c.claims), prod)
			if got := codeOf(t, err); got != c.want || (id == nil) != (c.want != "") {
				t.Errorf("%s, token with %v: %q (%v), want %q", claim, c.claims, got, err, c.want)
			}
		}
	}
}

// TestAudiencesAreAlternatives: any of the token's may be any of the issuer's.
func TestAudiencesAreAlternatives(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	i := trust(prod)
	i.Recipients = append(forAudience("web"), forAudience("tv")...)
	v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, i)
	for _, c := range []struct {
		aud  any
		want playback.Code
	}{
		{"web", ""},
		{"tv", ""},
		{[]string{"x", "tv"}, ""},
		{"x", invalid},
		{"web tv", invalid},
		{nil, invalid},
	} {
		wantCode(t, v, sign(t, p, map[string]any{"aud": c.aud}), c.want)
	}
}

// TestClientsAreRememberedPerEnvironment where a token without aud fits two, one
// by client_id and one by azp: what was accepted for one is not handed out in
// the other.
func TestClientsAreRememberedPerEnvironment(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	one, two := trust(prod), trust(staging)
	one.Recipients = forClient(playback.RecipientClientID, "c")
	two.Recipients, two.Alias = forClient(playback.RecipientAuthorizedParty, "z"), "other"
	v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, one, two)
	raw := sign(t, p, map[string]any{"aud": identitytest.Absent{}, "client_id": "c", "azp": "z"})
	mustVerify(t, v, raw, prod)
	if remembers(v, raw) {
		t.Error("remembered without a host, though the token fits two environments")
	}
	if _, ok := v.Remembered(raw, staging, time.Time{}); ok {
		t.Error("remembered for the other environment")
	}
	if id, ok := v.Remembered(raw, prod, time.Time{}); !ok || id.Viewer.Issuer != "main" {
		t.Errorf("Remembered() = %v, %t", id, ok)
	}
	if id := mustVerify(t, v, raw, staging); id.Viewer.Issuer != "other" {
		t.Errorf("the viewer in staging is %+v", id.Viewer)
	}
}

// TestIATLeeway bounds how far iat may be ahead, per issuer, and nothing else.
func TestIATLeeway(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	i := trust(prod)
	i.IATLeeway = 2 * time.Minute
	v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, i)
	at := func(d time.Duration) int64 { return noon().Add(d).Unix() }
	for _, c := range []struct {
		claims map[string]any
		want   playback.Code
	}{
		{map[string]any{"iat": at(2 * time.Minute)}, ""},
		{map[string]any{"iat": at(2*time.Minute + time.Second)}, invalid},
		{map[string]any{"iat": at(time.Minute), "nbf": at(time.Minute)}, invalid},
		{map[string]any{"iat": at(time.Minute), "exp": at(24*time.Hour + time.Minute + time.Second)}, invalid},
		{map[string]any{"exp": at(-30 * time.Second)}, expired},
	} {
		wantCode(t, v, sign(t, p, c.claims), c.want)
	}
	_, err := verify(v, sign(t, p, map[string]any{"iat": at(time.Hour)}), prod)
	if cause := causeOf(t, err); !strings.Contains(cause, "iat is 1h in the future") || !strings.Contains(cause, "iat_leeway, 2m") {
		t.Errorf("cause %q", cause)
	}
}

// causeOf returns what a refusal tells the log.
func causeOf(t testing.TB, err error) string {
	t.Helper()
	refusal, ok := errors.AsType[*playback.Error](err)
	if !ok || refusal.Err == nil {
		t.Fatalf("%v has no cause", err)
	}
	return refusal.Err.Error()
}

// TestCAFile: the key set's server is checked with the issuer's own CAs, instead
// of the system's, and two issuers with the same URL and other CAs do not share
// what was read.
func TestCAFile(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	server := httptest.NewUnstartedServer(p)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	cas := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := selfSigned(key)
	if err != nil {
		t.Fatal(err)
	}
	good, system, wrong := trust(prod), trust(staging), trust("acme-dev")
	good.JWKSURL, system.JWKSURL, wrong.JWKSURL = server.URL, server.URL, server.URL
	good.CAs, wrong.CAs = cas, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stranger}))
	var log bytes.Buffer
	v := start(t, identity.Config{Now: noon, Logger: slog.New(slog.NewTextHandler(&log, nil))}, good, system, wrong)
	v.Stop()
	raw := sign(t, p, nil)
	mustVerify(t, v, raw, prod)
	for _, environment := range []playback.EnvironmentID{staging, "acme-dev"} {
		if _, err := verify(v, raw, environment); codeOf(t, err) != unavailable {
			t.Errorf("%s: %v, want %s", environment, err, unavailable)
		}
	}
	if n := strings.Count(log.String(), "certificate signed by unknown authority"); n != 2 {
		t.Errorf("%d unknown authorities in the log, want 2:\n%s", n, log.String())
	}
}
