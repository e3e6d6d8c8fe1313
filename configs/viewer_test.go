package configs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
)

const firstViewer = inEnvironment + "viewers[0]."

// TestExactlyOneSaysWhomTokensAreFor: audience, audiences or client_id_claim;
// audience is the default, what is switched off is not given.
func TestExactlyOneSaysWhomTokensAreFor(t *testing.T) {
	t.Parallel()
	of := func(claim playback.RecipientClaim, values ...string) (out []playback.Recipient) {
		for _, v := range values {
			out = append(out, playback.Recipient{Claim: claim, Value: v})
		}
		return out
	}
	for members, want := range map[string][]playback.Recipient{
		"":                                 of("aud", "playgate"),
		"audience: ":                       of("aud", "playgate"),
		"audience: web":                    of("aud", "web"),
		"audiences: [web]":                 of("aud", "web"),
		"audiences: [web, 'https://api']":  of("aud", "web", "https://api"),
		"audience: '', audiences: [web]":   of("aud", "web"),
		"audience: web, audiences: []":     of("aud", "web"),
		"client_id_claim: {}":              of("aud", "playgate"),
		"client_id_claim: ":                of("aud", "playgate"),
		"client_id_claim: {}, audience: a": of("aud", "a"),
		"client_id_claim: {name: client_id, values: [4f1, 12]}":            of("client_id", "4f1", "12"),
		"client_id_claim: {name: azp, values: ['https://app.example']}":    of("azp", "https://app.example"),
		"audience: '', client_id_claim: {name: client_id, values: [4f1]}":  of("client_id", "4f1"),
		"audiences: [], client_id_claim: {name: client_id, values: [4f1]}": of("client_id", "4f1"),
	} {
		e := theEnvironment(t, viewer(members), nil)
		if diff := cmp.Diff(want, e.Viewers[0].Recipients()); diff != "" {
			t.Errorf("%s: %s", members, diff)
		}
	}
	for _, c := range []struct{ members, path, words string }{
		{`audience: ""`, "audience", "must not be empty"},
		{`audiences: []`, "audiences", "must not be empty"},
		{`audiences: [""]`, "audiences[0]", "must not be empty"},
		{`audiences: [a, b, a]`, "audiences[2]", `"a" is already ` + firstViewer + "audiences[0]"},
		{`audiences: web`, "audiences", "want a list"},
		{`audience: a, audiences: [b]`, "audiences", "is given besides audience; want exactly one of"},
		{`audience: a, audiences: [a]`, "audiences", "is given besides audience"},
		{`audience: a, client_id_claim: {name: azp, values: [b]}`, "client_id_claim", "is given besides audience"},
		{`audiences: [a], client_id_claim: {name: azp, values: [b]}`, "client_id_claim", "is given besides audiences"},
		{`client_id_claim: {name: azp}`, "client_id_claim.values", "is required"},
		{`client_id_claim: {name: azp, values: []}`, "client_id_claim.values", "at least one"},
		{`client_id_claim: {name: azp, values: [""]}`, "client_id_claim.values[0]", "must not be empty"},
		{`client_id_claim: {name: azp, values: [a, a]}`, "client_id_claim.values[1]", "is already"},
		{`client_id_claim: {values: [a]}`, "client_id_claim.name", "is required"},
		{`client_id_claim: {name: sub, values: [a]}`, "client_id_claim.name", "want one of client_id, azp"},
		{`client_id_claim: {name: azp, value: a, values: [a]}`, "client_id_claim.value", `"values"`},
		{`client_id_claim: azp`, "client_id_claim", "want a mapping"},
	} {
		refused(t, environment(viewer(c.members)), firstViewer+c.path, c.words, nil)
	}
}

// TestAClientIDIsOneRecipientInAnyClaim where two environments must be told
// apart; one environment may accept it in several.
func TestAClientIDIsOneRecipientInAnyClaim(t *testing.T) {
	t.Parallel()
	in := func(first, second string) string {
		return "organizations: [{id: a, environments: [{id: e1, " + first + "}, {id: e2, " + second + "}]}]"
	}
	const second = "organizations[0].environments[1].viewers[0]"
	aud, client, party := viewer("audience: c"), viewer("client_id_claim: {name: client_id, values: [b, c]}"), viewer("client_id_claim: {name: azp, values: [c]}")
	for _, pair := range [][2]string{{aud, client}, {client, aud}, {client, client}, {client, party}, {viewer("audiences: [b, c]"), aud}} {
		problems := problemsOf(t, in(pair[0], pair[1]), nil)
		if len(problems) == 0 || problems[0].Path != second || !strings.Contains(problems[0].Message, "Host tells them apart") {
			t.Errorf("%s and %s: %v", pair[0], pair[1], problems)
		}
		mustLoad(t, in(pair[0]+", hosts: [x.example]", pair[1]+", hosts: [y.example]"), nil)
	}
	mustLoad(t, in(aud, viewer("client_id_claim: {name: client_id, values: [d]}")), nil)
	both := strings.TrimSuffix(viewer("audience: c, alias: id"), "]") + ", " +
		strings.TrimPrefix(viewer("client_id_claim: {name: client_id, values: [c]}, alias: access"), "viewers: [")
	mustLoad(t, environment(both), nil)
}

// TestIssuersThatNoTokenCanHave are refused with what is wanted instead.
func TestIssuersThatNoTokenCanHave(t *testing.T) {
	t.Parallel()
	with := func(issuer string) string {
		return environment("viewers: [{issuer: '" + issuer + "', jwks_url: https://idp.example/jwks.json, algorithms: [RS256]}]")
	}
	const tenant = "11111111-2222-3333-4444-555555555555"
	for issuer, words := range map[string]string{
		"https://login.microsoftonline.com/{tenantid}/v2.0":     "entry for each tenant",
		"https://login.microsoftonline.com/{tenantId}/v2.0":     "entry for each tenant",
		"https://login.microsoftonline.com/{tenant}/v2.0":       "entry for each tenant",
		"https://sts.windows.net/{tenantid}/":                   "entry for each tenant",
		"https://login.microsoftonline.com/common/v2.0":         "entry for each tenant",
		"https://login.microsoftonline.com/organizations/v2.0":  "entry for each tenant",
		"https://LOGIN.microsoftonline.com/consumers/v2.0":      "entry for each tenant",
		"https://{yourDomain}/":                                 "placeholder",
		"https://<tenant>.b2clogin.com/x/v2.0/":                 "placeholder",
		"https://cognito-idp.{region}.amazonaws.com/{userPool}": "placeholder",
	} {
		refused(t, with(issuer), firstViewer+"issuer", words, nil)
	}
	refused(t, with(" https://idp.example"), firstViewer+"issuer", "white space", nil)
	for _, issuer := range []string{
		"https://login.microsoftonline.com/" + tenant + "/v2.0", "https://sts.windows.net/" + tenant + "/", "https://idp.example/common/v2.0",
		"https://acme.b2clogin.com/" + tenant + "/v2.0/", "accounts.google.com", "idp", "urn:example:idp",
	} {
		mustLoad(t, with(issuer), nil)
	}
	for _, url := range []string{"https://login.microsoftonline.com/{tenantid}/discovery/v2.0/keys", "https://idp.example/<realm>/certs"} {
		refused(t, environment("viewers: [{issuer: https://idp.example, jwks_url: '"+url+"', algorithms: [RS256]}]"), firstViewer+"jwks_url", "placeholder", nil)
	}
}

func TestIssuersHaveTheirOwnCAs(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	around := files{home + "/ca.pem": cert, home + "/key.pem": key, home + "/jwks.json": "{}"}
	loaded := mustLoad(t, environment(viewer("ca_file: ca.pem")), around)
	v := loaded.Config.Organizations[0].Environments[0].Viewers[0]
	if v.CAs != cert || v.CAFile != home+"/ca.pem" {
		t.Errorf("ca_file = %s, %q", v.CAFile, v.CAs)
	}
	if !cmp.Equal(loaded.Files, []string{home + "/playgate.yaml", home + "/ca.pem"}) {
		t.Errorf("files that are watched = %v, want ca.pem among them", loaded.Files)
	}
	refused(t, environment(viewer("ca_file: key.pem")), firstViewer+"ca_file", "no certificate in PEM", around)
	refused(t, environment(viewer("ca_file: missing.pem")), firstViewer+"ca_file", "does not exist", around)
	for _, place := range []string{"jwks_url: 'http://127.0.0.1/jwks.json'", "jwks_file: jwks.json"} {
		refused(t, environment("viewers: [{issuer: i, algorithms: [RS256], ca_file: ca.pem, "+place+"}]"), firstViewer+"ca_file", "without a jwks_url of https", around)
	}
}

func TestIATLeewayIsBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 30 * time.Second, "1": time.Second, "90s": 90 * time.Second, "10m": 10 * time.Minute} {
		if v := theEnvironment(t, viewer("iat_leeway: "+text), nil).Viewers[0]; v.IATLeeway != want {
			t.Errorf("iat_leeway: %s = %s", text, v.IATLeeway)
		}
	}
	for _, bad := range []string{"0", "601", "11m", "-1", "1h"} {
		refused(t, environment(viewer("iat_leeway: "+bad)), firstViewer+"iat_leeway", "", nil)
	}
}

func TestTypIsAListOfDistinctValues(t *testing.T) {
	t.Parallel()
	v := theEnvironment(t, viewer("typ: [at+jwt, JWT]"), nil).Viewers[0]
	if !cmp.Equal(v.Types, []string{"at+jwt", "JWT"}) {
		t.Errorf("typ = %q", v.Types)
	}
	refused(t, environment(viewer("typ: ['']")), firstViewer+"typ[0]", "must not be empty", nil)
	refused(t, environment(viewer("typ: [JWT, JWT]")), firstViewer+"typ[1]", "is already", nil)
}

// TestEffectiveViewersLoadAgain: what check-config prints names exactly one.
func TestEffectiveViewersLoadAgain(t *testing.T) {
	t.Parallel()
	for _, members := range []string{"", "audiences: [a, b]", "client_id_claim: {name: azp, values: [a]}", "algorithms: [Ed25519]"} {
		text := environment(strings.Replace(viewer(members), "algorithms: [RS256], algorithms", "algorithms", 1))
		first := mustLoad(t, text, nil)
		printed, err := configs.Redacted(first.Config)
		if err != nil {
			t.Fatal(err)
		}
		again := mustLoad(t, string(printed), nil)
		if diff := cmp.Diff(first.Config.Organizations[0].Environments[0].Viewers, again.Config.Organizations[0].Environments[0].Viewers, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s\n%s", members, diff, printed)
		}
	}
}
