package app

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/tenant"
)

// providerExamples returns the configurations of docs/identity-providers.md by
// what stands after "viewers: #".
func providerExamples(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../docs/identity-providers.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```yaml\nviewers: # ([^\n]*)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		examples[block[1]] = "        viewers:\n        " + strings.ReplaceAll(strings.TrimRight(block[2], "\n"), "\n", "\n        ") + "\n"
	}
	if n := strings.Count(string(page), "```yaml"); n != len(examples) {
		t.Fatalf("the page has %d blocks of YAML, and %d of them are examples under names of their own", n, len(examples))
	}
	return examples
}

// keySets answers every request with a provider's keys.
type keySets struct{ *identitytest.Provider }

func (k keySets) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	k.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// TestProviderExamples loads each configuration that docs/identity-providers.md
// shows, and takes a token in the shape of the provider through it: the
// environment that its claims lead to, and the check of its signature.
func TestProviderExamples(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	const (
		pool   = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
		client = "3n4b5urk1ft4fl3mg5e62d9ado"
		app    = "66666666-7777-8888-9999-000000000000"
		home   = "11111111-2222-3333-4444-555555555555"
		other  = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
		realm  = "https://sso.acme.example/realms/main"
	)
	cognitoAccess := m{
		"sub": "83b4d8a2-00f1-70b5-8a0c-4b1f8d3f1c11", "iss": pool, "client_id": client, "origin_jti": "o", "event_id": "e", "token_use": "access",
		"scope": "openid", "auth_time": 1700000000, "jti": "j", "username": "u", "version": 2, "cognito:groups": []string{"premium"},
	}
	cognitoID := m{"sub": "83b4d8a2-00f1-70b5-8a0c-4b1f8d3f1c11", "iss": pool, "aud": client, "token_use": "id", "email_verified": true, "cognito:username": "u"}
	clerk := m{
		"azp": "https://www.acme.example", "iss": "https://clerk.acme.example", "sid": "sess_1", "sub": "user_2", "fva": []int{0, -1}, "sts": "active", "v": 2,
	}
	entra := func(tid string) m {
		return m{
			"aud": app, "iss": "https://login.microsoftonline.com/" + tid + "/v2.0", "aio": "A", "azp": "77", "azpacr": "1", "oid": "o",
			"rh": "r", "scp": "play", "sub": "AbC-_1", "tid": tid, "uti": "u", "ver": "2.0",
		}
	}
	keycloak := m{
		"iss": realm, "aud": []string{"playgate", "account"}, "sub": "f:1:u", "typ": "Bearer", "azp": "web", "session_state": "s", "acr": "1",
		"realm_access": m{"roles": []string{"viewer"}}, "scope": "openid profile", "sid": "s",
	}
	examples := providerExamples(t)
	untested := maps.Clone(examples)
	for name, c := range map[string]struct {
		alias    string // of the accepted ones; "" is main
		accepted []m
		refused  []m
	}{
		"Cognito, access tokens": {"", []m{cognitoAccess}, []m{cognitoID, with(cognitoAccess, "client_id", "other"), with(cognitoAccess, "aud", client), with(cognitoAccess, "iss", pool+"/")}},
		"Cognito, ID tokens":     {"", []m{cognitoID}, []m{cognitoAccess, with(cognitoID, "aud", "other")}},
		"Clerk, session tokens":  {"", []m{clerk, with(clerk, "azp", "https://acme.example")}, []m{with(clerk, "azp", "https://evil.example"), with(clerk, "azp", nil), with(clerk, "aud", "https://www.acme.example")}},
		"Auth0, access tokens for an API": {"", []m{
			{"iss": "https://acme.eu.auth0.com/", "sub": "auth0|6", "aud": []string{"https://playgate.acme.example", "https://acme.eu.auth0.com/userinfo"}, "azp": "spa", "scope": "openid"},
			{"iss": "https://acme.eu.auth0.com/", "sub": "auth0|6", "aud": "https://playgate.acme.example", "azp": "spa", "gty": "password"},
		}, []m{{"iss": "https://acme.eu.auth0.com", "sub": "auth0|6", "aud": "https://playgate.acme.example"}, {"iss": "https://acme.eu.auth0.com/", "sub": "auth0|6", "aud": "spa"}}},
		"Entra ID, one tenant": {"", []m{entra(home)}, []m{
			entra(other), with(entra(home), "iss", "https://sts.windows.net/"+home+"/"), with(entra(home), "aud", "api://"+app),
		}},
		"Entra ID, two tenants": {"globex", []m{entra(other)}, []m{entra("bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee")}},
		"Azure AD B2C": {"", []m{{
			"ver": "1.0", "iss": "https://acme.b2clogin.com/" + home + "/v2.0/", "sub": "s", "aud": app, "nonce": "n", "auth_time": 1700000000, "tfp": "B2C_1_signin",
		}}, []m{{"iss": "https://acme.b2clogin.com/" + home + "/v2.0", "sub": "s", "aud": app}}},
		"Firebase, ID tokens": {"", []m{{
			"iss": "https://securetoken.google.com/acme-video", "aud": "acme-video", "auth_time": 1700000000, "user_id": "u", "sub": "u",
			"firebase": m{"identities": m{}, "sign_in_provider": "custom"},
		}}, []m{{"iss": "https://securetoken.google.com/other", "aud": "other", "sub": "u"}, {"iss": "https://securetoken.google.com/acme-video", "aud": "other", "sub": "u"}}},
		"Keycloak":                     {"", []m{keycloak, with(keycloak, "aud", "playgate")}, []m{with(keycloak, "aud", "account"), with(keycloak, "aud", nil)}},
		"Keycloak, tokens without aud": {"", []m{with(keycloak, "aud", nil)}, []m{keycloak, with(keycloak, "aud", "account")}},
		"Okta, a custom authorization server": {"", []m{{
			"ver": 1, "jti": "AT.1", "iss": "https://acme.okta.com/oauth2/default", "aud": "api://default", "cid": "0oa", "uid": "00u", "scp": []string{"openid"}, "sub": "u@acme.example",
		}}, []m{{"iss": "https://acme.okta.com", "aud": "https://acme.okta.com", "cid": "0oa", "sub": "u@acme.example"}}},
		"Sign in with Apple": {"", []m{
			{"iss": "https://appleid.apple.com", "aud": "com.acme.tv", "sub": "000000.a.0000", "nonce_supported": true, "email_verified": "true"},
			{"iss": "https://appleid.apple.com", "aud": "com.acme.web", "sub": "000000.a.0000"},
		}, []m{{"iss": "https://appleid.apple.com", "aud": "com.evil", "sub": "000000.a.0000"}}},
		"Supabase": {"", []m{{
			"iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1", "sub": "u", "aud": "authenticated", "role": "authenticated", "aal": "aal1", "app_metadata": m{"provider": "email"},
		}}, []m{{"iss": "https://abcdefghijklmnopqrst.supabase.co/auth/v1", "sub": "u", "aud": "anon"}}},
		"Ory Hydra, whose aud is empty where no audience was asked for": {"", []m{
			{"iss": "https://hydra.acme.example", "sub": "u", "aud": []string{}, "client_id": "web", "ext": m{}, "scp": []string{"openid"}},
		}, []m{{"iss": "https://hydra.acme.example", "sub": "u", "aud": []string{"x"}, "client_id": "web"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := startProvider(t, examples[name])
			for _, claims := range c.accepted {
				alias, err := v.verify(claims)
				if want := cmp.Or(c.alias, "main"); err != nil || alias != want {
					t.Errorf("%v: alias %q, %v; want %q", claims, alias, err, want)
				}
			}
			for _, claims := range c.refused {
				if alias, err := v.verify(claims); err == nil {
					t.Errorf("%v: accepted as %q", claims, alias)
				}
			}
		})
		delete(untested, name)
	}
	for name := range untested {
		t.Errorf("no token goes through the example %q", name)
	}
}

// with returns claims with one changed, or absent for nil.
func with(claims map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(claims)
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	return changed
}

// providerGateway is the part of a gateway that tells viewers apart, as a
// configuration makes it.
type providerGateway struct {
	keys      *identitytest.Provider
	directory *tenant.Directory
	identity  *identity.Verifier
}

func startProvider(t *testing.T, viewers string) *providerGateway {
	t.Helper()
	return startEnvironments(t, "      - id: acme-prod\n"+viewers)
}

func startEnvironments(t *testing.T, environments string) *providerGateway {
	t.Helper()
	path := filepath.Join(t.TempDir(), "playgate.yaml")
	text := "organizations:\n  - id: acme\n    environments:\n" + environments
	loaded, err := configs.Source{Path: path, Data: []byte(text)}.Load()
	if err != nil {
		t.Fatalf("loading\n%s\n%v", text, err)
	}
	g := new(providerGateway)
	if g.directory, err = tenant.New(loaded.Config.Tenants()); err != nil {
		t.Fatal(err)
	}
	var issuers []identity.Issuer
	for at, e := range loaded.Config.Environments() {
		if problems, warnings := newKeySetChecker().check(at, e, os.ReadFile); len(problems)+len(warnings) > 0 {
			t.Errorf("check-config says %v, %v", problems, warnings)
		}
		issuers = append(issuers, issuersOf(e)...)
	}
	if g.keys, err = identitytest.New(identitytest.Config{Algorithms: issuers[0].Algorithms[:1]}); err != nil {
		t.Fatal(err)
	}
	g.identity = identity.New(identity.Config{InsecureTransport: keySets{g.keys}})
	if err := g.identity.SetIssuers(issuers); err != nil {
		t.Fatal(err)
	}
	g.identity.Start(t.Context())
	t.Cleanup(g.identity.Stop)
	return g
}

// TestATokenIsForItsAudienceOrItsClient, never for both: where one environment
// accepts the audience and another the client, a token with both belongs to the
// first, and only one without aud to the second.
func TestATokenIsForItsAudienceOrItsClient(t *testing.T) {
	t.Parallel()
	viewer := func(id, recipient string) string {
		return "      - id: " + id + "\n        viewers: [{issuer: https://idp, alias: " + id + ", jwks_url: https://idp.example/j, algorithms: [ES256], " + recipient + "}]\n"
	}
	g := startEnvironments(t, viewer("by-audience", "audiences: [site, api]")+
		viewer("by-client", "client_id_claim: {name: client_id, values: [app]}")+viewer("by-party", "client_id_claim: {name: azp, values: [web]}"))
	type m = map[string]any
	for _, c := range []struct {
		claims m
		want   string // the environment, or what is said in its place
	}{
		{m{"aud": "api"}, "by-audience"},
		{m{"aud": "api", "client_id": "app"}, "by-audience"},
		{m{"aud": []string{"x", "site"}, "client_id": "app", "azp": "web"}, "by-audience"},
		{m{"aud": "x", "client_id": "app", "azp": "web"}, "0 environments"},
		{m{"client_id": "app"}, "by-client"},
		{m{"client_id": "app", "azp": "x"}, "by-client"},
		{m{"client_id": "x", "azp": "web"}, "by-party"},
		{m{"client_id": "app", "azp": "web"}, "2 environments"}, // the host decides
		{m{"client_id": "site"}, "0 environments"},
		{m{"client_id": "web", "azp": "app"}, "0 environments"},
		{m{}, "0 environments"},
	} {
		c.claims["iss"], c.claims["sub"] = "https://idp", "u1"
		got, err := g.verify(c.claims)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%v leads to %s, want %s", c.claims, got, c.want)
		}
	}
}

// verify does what middleware does with a token that is not remembered, and
// returns the alias of its issuer.
func (g *providerGateway) verify(claims map[string]any) (alias string, err error) {
	raw, err := g.keys.Token(claims)
	if err != nil {
		return "", err
	}
	claim, err := g.identity.Inspect(raw)
	if err != nil {
		return "", err
	}
	owners := g.directory.ByIssuer(claim.Issuer, claim.Recipients)
	if len(owners) != 1 {
		return "", fmt.Errorf("%d environments accept %s", len(owners), tenant.Seen(claim.Issuer, claim.Recipients))
	}
	id, err := g.identity.Verify(raw, claim, owners[0].ID)
	if err != nil {
		return "", err
	}
	return id.Viewer.Issuer, nil
}
