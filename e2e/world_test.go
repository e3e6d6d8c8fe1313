package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/tenant"
)

// secret is the access token secret of every environment of the tests.
const secret = "correct-horse-battery-staple"

// openRules allow everything to everybody, for an hour.
const openRules = `
version: 1
rules:
  - id: open
    effect: allow
    when: 'true'
    grant: {ttl: 1h, types: [video, thumbnail, gif, storyboard, drm_license, stats, stats_asset, stats_live_stream, stats_video], renditions: [audio.m4a, 720p.mp4, text/*]}
`

// world is some environments, an identity provider for each, and their keys.
type world struct {
	names     []string
	providers map[string]*identitytest.Provider
	files     files
}

// newWorld makes environments with one access token (ID tok-<name>), one
// issuer, one host (<name>.example), one signing key (KEY<name>) and two
// playback IDs (PID<name>, PUB<name>) each. extra is added to each environment.
func newWorld(t testing.TB, extra string, names ...string) *world {
	t.Helper()
	w := &world{names: names, providers: map[string]*identitytest.Provider{}, files: files{}}
	var environments strings.Builder
	for _, name := range names {
		provider, err := identitytest.New(identitytest.Config{Issuer: "https://idp." + name + ".example", Algorithms: []string{"ES256"}})
		if err != nil {
			t.Fatal(err)
		}
		jwks, err := provider.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		w.providers[name] = provider
		w.files["jwks-"+name+".json"] = string(jwks)
		w.files["rules-"+name+".yaml"] = openRules
		w.files["keys/"+name+"/KEY"+name+".pem"] = newKey(t)
		fmt.Fprintf(&environments, `
      - id: %[1]s
        hosts: [%[1]s.example]
        viewers: [{issuer: "https://idp.%[1]s.example", audience: %[1]s, jwks_file: jwks-%[1]s.json, algorithms: [ES256]}]
        access_tokens: [{id: tok-%[1]s, secret_sha256: %[2]s, permissions: ["video:read"]}]
        policy_file: rules-%[1]s.yaml
        playback_ids:
          - {id: PID%[1]s, policy: signed, asset: {id: ASSET%[1]s}}
          - {id: PUB%[1]s, policy: public, asset: {id: OPEN%[1]s}}
          - {id: LIVE%[1]s, policy: signed, live_stream: {id: STREAM%[1]s}}
        rate_limits: {viewer: "", ip: "", access_token: ""}
%[3]s`, name, tenant.HashSecret(secret).Hex(), extra)
	}
	w.files["playgate.yaml"] = head + "organizations:\n  - id: acme\n    environments:" + environments.String()
	return w
}

// protect makes a signed playback ID a drm one, which has licences.
func (w *world) protect(id string) {
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], "{id: "+id+", policy: signed", "{id: "+id+", policy: drm", 1)
}

// viewer returns the Authorization header of a viewer of an environment.
func (w *world) viewer(t *testing.T, environment, id string) string {
	t.Helper()
	token, err := w.providers[environment].Token(map[string]any{"sub": id, "aud": environment, "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + token
}

// minted is the part of a minting answer that the tests look at.
type minted struct {
	PlaybackID    string `json:"playback_id"`
	EnvironmentID string `json:"environment_id"`
	KeyID         string `json:"key_id"`
	Rule          string
	Token         string // GET …/token
	URL           string
	ExpiresAt     int64 `json:"expires_at"`
	Tokens        []struct {
		Type, Token, URL string
		ExpiresAt        int64 `json:"expires_at"`
	}
	Player map[string]string
}
