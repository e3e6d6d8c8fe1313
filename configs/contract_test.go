package configs_test

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// example is the configuration of contract §2, without the sections that this
// version does not have.
const example = `
server:
  listen: ":8080"
  tls: {cert_file: "", key_file: ""}
  admin_listen: "127.0.0.1:9090"
  admin_pprof: false
  trusted_proxies: []
  drain_delay: 5s
  unresolved_rate_limit: "600-M"
log: {level: info, format: json, access: 1/100}
keystore:
  driver: file
  file: {dir: keys}
  vault:
    address: "http://127.0.0.1:8200"
    namespace: ""
    mode: kv
    mount: secret
    prefix: playgate
    auth: {method: token, token_file: /run/secrets/vault-token}
    refresh_interval: 15s
signer: {backend: auto, concurrency: 0, queue: 1024}
cache: {max_entries: 100000, max_bytes: 256MiB}
store: {driver: sqlite, dsn: playgate.db}
organizations:
  - id: acme
    name: Acme
    environments:
      - id: acme-prod
        name: Production
        hosts: [play.acme.example]
        mux: {environment_id: "", token_id: "", token_secret_file: "", base_url: "https://api.mux.com"}
        delivery: {stream: "https://stream.mux.com", image: "https://image.mux.com", license: "https://license.mux.com", stats: "https://stats.mux.com", token_in: query}
        token: {default_ttl: 15m, max_ttl: 24h, kid: claim, traceable: false, pseudonym_key_file: ""}
        viewers:
          - issuer: https://idp.acme.example
            alias: main
            audience: playgate
            jwks_url: https://idp.acme.example/jwks.json
            algorithms: [RS256, ES256, EdDSA]
            max_lifetime: 24h
        anonymous: false
        viewer_cookie: ""
        viewer_query: ""
        access_tokens:
          - {id: 44c819de-4add-4c9f-b2e9-384a0a71bede, name: backend, secret_sha256: "` + hash + `", permissions: [video:read, video:write, system:read, system:write]}
        catalog: {unknown: signed, max_age: 10m}
        playback_ids:
          - {id: PID1, policy: signed, asset: {id: A1, duration: 120.5, status: ready, passthrough: "", meta: {title: T}}}
          - {id: PID2, policy: public, asset: {id: A1}}
          - {id: PID3, policy: signed, live_stream: {id: L1, status: active}}
        policy_file: policies/acme-prod.yaml
        keys: {prepare_for: 5m, rotate_every: 0, retire_after: 0, external_max_ttl: 7d}
        webhooks: {secret_files: [], tolerance: 300s}
        cors_origins: ["https://www.acme.example"]
        rate_limits: {viewer: "120-M", ip: "600-M", access_token: "60000-M"}
`

var exampleFiles = files{home + "/policies/acme-prod.yaml": "version: 1\nrules: [{id: a, effect: allow, when: 'true'}]\n"}

// defaults is what the contract says of members that are left out.
func defaults() *configs.Config {
	return &configs.Config{
		Server: configs.Server{
			Listen: ":8080", AdminListen: "127.0.0.1:9090", DrainDelay: 5 * time.Second, UnresolvedRateLimit: "600-M",
		},
		Log: configs.Log{Level: "info", Format: "json", Access: 100},
		Keystore: configs.Keystore{
			Driver: "file", File: configs.FileStore{Dir: home + "/keys"},
			Vault: configs.Vault{
				Address: "http://127.0.0.1:8200", Mode: "kv", Mount: "secret", Prefix: "playgate", TransitMount: "transit", RefreshInterval: 15 * time.Second,
				Auth: configs.VaultAuth{Method: "token", TokenFile: "/run/secrets/vault-token"},
			},
		},
		Signer: configs.Signer{Backend: "auto", Queue: 1024},
		Cache:  configs.Cache{MaxEntries: 100_000, MaxBytes: 256 << 20},
		Decisions: configs.Decisions{
			Output: "none", File: configs.DecisionFile{Path: home + "/decisions.log", MaxSize: 100 << 20, Keep: 5},
			OTLPEndpoint: "http://127.0.0.1:4318", Allow: 100, Inputs: "full", Queue: 8192,
		},
		Store: configs.Store{Driver: "sqlite", DSN: home + "/playgate.db", Source: playback.NewSecret(home + "/playgate.db")},
	}
}

// bare is an environment of which only the ID is given.
func bare(id playback.EnvironmentID) configs.Environment {
	return configs.Environment{
		ID: id, Organization: "acme",
		Delivery: configs.Delivery{
			Stream: "https://stream.mux.com", Image: "https://image.mux.com", License: "https://license.mux.com", Stats: "https://stats.mux.com", TokenIn: "query",
		},
		Token:      configs.Token{DefaultTTL: 15 * time.Minute, MaxTTL: 24 * time.Hour, Kid: playback.KidClaim},
		Mux:        configs.Mux{BaseURL: "https://api.mux.com"},
		Catalog:    configs.Catalog{Unknown: "signed", MaxAge: 10 * time.Minute},
		Webhooks:   configs.Webhooks{Tolerance: 5 * time.Minute},
		Keys:       configs.Keys{PrepareFor: 5 * time.Minute, ExternalMaxTTL: 7 * 24 * time.Hour},
		Grants:     configs.Grants{MaxPerViewer: 1000},
		RateLimits: configs.RateLimits{Viewer: "120-M", IP: "600-M", AccessToken: "60000-M"},
	}
}

func compare() cmp.Options {
	return cmp.Options{
		cmpopts.EquateComparable(playback.Secret{}, tenant.SecretHash{}, netip.Prefix{}),
		cmp.Comparer(func(a, b configs.SecretHash) bool { return a == b }),
		cmp.Comparer(func(a, b configs.Time) bool { return a.Equal(b.Time) }),
		cmpopts.EquateEmpty(),
	}
}

func TestTheContractsExampleLoads(t *testing.T) {
	t.Parallel()
	loaded := mustLoad(t, example, exampleFiles)
	want := defaults()
	e := bare("acme-prod")
	e.Name = "Production"
	e.Hosts = []string{"play.acme.example"}
	e.Viewers = []configs.Viewer{{
		Issuer: "https://idp.acme.example", Alias: "main", Audience: "playgate", JWKSURL: "https://idp.acme.example/jwks.json",
		Algorithms: []string{"RS256", "ES256", "EdDSA"}, MaxLifetime: 24 * time.Hour, IATLeeway: 30 * time.Second,
	}}
	parsed, err := tenant.ParseSecretHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	e.AccessTokens = []configs.AccessToken{{
		ID: "44c819de-4add-4c9f-b2e9-384a0a71bede", Name: "backend", SecretSHA256: configs.SecretHash{SecretHash: parsed},
		Permissions: []string{"video:read", "video:write", "system:read", "system:write"},
	}}
	e.PlaybackIDs = []configs.PlaybackID{
		{ID: "PID1", Policy: "signed", Asset: &configs.Asset{
			ID: "A1", Duration: new(120.5), Status: new("ready"), Passthrough: new(""), Meta: map[string]any{"title": "T"},
		}},
		{ID: "PID2", Policy: "public", Asset: &configs.Asset{ID: "A1"}},
		{ID: "PID3", Policy: "signed", LiveStream: &configs.LiveStream{ID: "L1", Status: new("active")}},
	}
	e.PolicyFile = home + "/policies/acme-prod.yaml"
	e.Policy = configs.Policy{
		Document: []byte(exampleFiles[home+"/policies/acme-prod.yaml"]), File: home + "/policies/acme-prod.yaml", Path: inEnvironment + "policy_file",
	}
	e.CORSOrigins = []string{"https://www.acme.example"}
	want.Organizations = []configs.Organization{{ID: "acme", Name: "Acme", Environments: []configs.Environment{e}}}
	if diff := cmp.Diff(want, loaded.Config, compare()); diff != "" {
		t.Errorf("config: %s", diff)
	}
	if len(loaded.Warnings) > 0 || len(loaded.Ignored) > 0 {
		t.Errorf("warnings %q, ignored %q, want none", loaded.Warnings, loaded.Ignored)
	}
	if diff := cmp.Diff([]string{home + "/playgate.yaml", home + "/policies/acme-prod.yaml"}, loaded.Files); diff != "" || loaded.Path != home+"/playgate.yaml" {
		t.Errorf("path %s, files: %s", loaded.Path, diff)
	}
}

// TestTheContractPageHasTheExample: the first configuration in docs/contract.md,
// section 2, means the same as the example here.
func TestTheContractPageHasTheExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## 2. Configuration\n")
	_, text, _ = strings.Cut(text, "```yaml\n")
	text, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatal("docs/contract.md has no configuration in section 2")
	}
	text = regexp.MustCompile(`secret_sha256: \w+`).ReplaceAllString(text, "secret_sha256: "+hash)
	want, got := mustLoad(t, example, exampleFiles), mustLoad(t, text, exampleFiles)
	if diff := cmp.Diff(want.Config, got.Config, compare()); diff != "" {
		t.Errorf("config (-want +got)\n%s", diff)
	}
}

func TestAMemberLeftOutNullOrAnEmptyMapTakesItsDefaults(t *testing.T) {
	t.Parallel()
	withBare := defaults()
	withBare.Organizations = []configs.Organization{{ID: "acme", Environments: []configs.Environment{bare("acme-prod")}}}
	for name, c := range map[string]struct {
		text string
		want *configs.Config
	}{
		"nothing":        {"", defaults()},
		"a comment":      {"# nothing\n", defaults()},
		"null":           {"null", defaults()},
		"an empty map":   {"{}", defaults()},
		"three dashes":   {"---\n", defaults()},
		"empty sections": {"server: {}\nlog: {}\nkeystore: {file: {}, vault: {auth: {}}}\nsigner: {}\ncache: {}\norganizations: []\n", defaults()},
		"null sections":  {"server:\nlog: ~\nkeystore: null\nsigner: {backend: }\ncache: {max_bytes: ~}\norganizations:\n", defaults()},
		"null scalars":   {"server: {listen: , drain_delay: null, trusted_proxies: ~, tls: {cert_file: }}", defaults()},
		"a bare environment": {
			"organizations: [{id: acme, environments: [{id: acme-prod}]}]", withBare,
		},
		"an environment of empty maps": {
			"organizations: [{id: acme, environments: [{id: acme-prod, delivery: {}, token: {}, catalog: {}, rate_limits: {}, policy: {}, viewers: , hosts: }]}]", withBare,
		},
		"an environment of nulls": {
			"organizations: [{id: acme, name: , environments: [{id: acme-prod, name: ~, delivery: , token: {max_ttl: }, policy: , policy_file: ~, playback_ids: ~}]}]", withBare,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, mustLoad(t, c.text, nil).Config, compare()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOtherMembersOfASectionKeepTheirDefaults(t *testing.T) {
	t.Parallel()
	want := defaults()
	want.Server.Listen = "127.0.0.1:0"
	want.Keystore.Vault.Auth.TokenFile = home + "/token"
	got := mustLoad(t, "server: {listen: '127.0.0.1:0'}\nkeystore: {vault: {auth: {token_file: token}}}", nil)
	if diff := cmp.Diff(want, got.Config, compare()); diff != "" {
		t.Error(diff)
	}
}

func TestAListEntryTakesItsDefaults(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, `
viewers: [{issuer: https://idp.example, jwks_url: https://idp.example/jwks.json, algorithms: [RS256]}]
access_tokens: [{id: t1, secret_sha256: `+hash+`}]
playback_ids: [{id: P1}, {id: P2, asset: {}, live_stream: {}}, {id: P3, asset: {id: A1, meta: {}}}, {id: P4, asset: , live_stream: {id: L1, status: }}]`, nil)
	v := e.Viewers[0]
	if v.Alias != "main" || v.Audience != "playgate" || v.MaxLifetime != 24*time.Hour || v.JWKSFile != "" {
		t.Errorf("viewer = %+v", v)
	}
	if token := e.AccessTokens[0]; token.Name != "" || len(token.Permissions) != 0 {
		t.Errorf("access token = %+v", token)
	}
	for i, p := range e.PlaybackIDs[:2] {
		if p.Policy != playback.PolicySigned || p.Asset != nil || p.LiveStream != nil {
			t.Errorf("playback_ids[%d] = %+v, want signed and nothing else", i, p)
		}
	}
	if a := e.PlaybackIDs[2].Asset; a.Duration != nil || a.Status != nil || a.Passthrough != nil || a.Meta != nil || a.CreatedAt != nil {
		t.Errorf("asset = %+v, want only an ID", a)
	}
	if s := e.PlaybackIDs[3].LiveStream; s.Status != nil {
		t.Errorf("an absent status is %q", *s.Status)
	}
}

func TestEmptyStringAndEmptyListSwitchOff(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `
server: {admin_listen: "", unresolved_rate_limit: "", drain_delay: "", trusted_proxies: []}
log: {access: ""}
keystore: {vault: {prefix: "", namespace: ""}}
organizations:
  - id: acme
    environments:
      - {id: acme-prod, hosts: [], cors_origins: [], viewer_cookie: "", viewer_query: "", policy_file: "", rate_limits: {viewer: "", ip: "", access_token: ""}}
`, nil).Config
	s, e := c.Server, c.Organizations[0].Environments[0]
	if s.AdminListen != "" || s.UnresolvedRateLimit != "" || s.DrainDelay != 0 || len(s.TrustedProxies) != 0 || c.Keystore.Vault.Prefix != "" {
		t.Errorf("server = %+v", s)
	}
	if c.Log.Access.String() != "errors" {
		t.Errorf("log.access = %s, want errors: those are always logged", c.Log.Access)
	}
	if e.RateLimits != (configs.RateLimits{}) || len(e.Hosts)+len(e.CORSOrigins) != 0 || e.Policy.Document != nil {
		t.Errorf("environment = %+v", e)
	}
}

func TestWhatCannotBeSwitchedOffSaysSo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path string }{
		{`server: {listen: ""}`, "server.listen"},
		{`log: {level: ""}`, "log.level"},
		{`keystore: {driver: ""}`, "keystore.driver"},
		{`keystore: {file: {dir: ""}}`, "keystore.file.dir"},
		{`keystore: {vault: {address: ""}}`, "keystore.vault.address"},
		{`keystore: {vault: {mount: ""}}`, "keystore.vault.mount"},
		{`keystore: {vault: {refresh_interval: ""}}`, "keystore.vault.refresh_interval"},
		{`cache: {max_bytes: ""}`, "cache.max_bytes"},
		{environment(`delivery: {image: ""}`), inEnvironment + "delivery.image"},
		{environment(`token: {max_ttl: ""}`), inEnvironment + "token.max_ttl"},
		{environment(viewer(`audience: ""`)), inEnvironment + "viewers[0].audience"},
		{environment(`viewers: [{issuer: https://idp.example, jwks_url: https://idp.example/j, algorithms: []}]`), inEnvironment + "viewers[0].algorithms"},
		{environment(`catalog: {unknown: ""}`), inEnvironment + "catalog.unknown"},
		{environment(`playback_ids: [{id: ""}]`), inEnvironment + "playback_ids[0].id"},
	} {
		refused(t, c.text, c.path, "", nil)
	}
}

func TestJSONIsYAML(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "{\n\t\"server\": {\"listen\": \"127.0.0.1:0\", \"drain_delay\": 0},\r\n"+`
		"organizations": [{"id": "acme", "name": "\ud83d\ude00 \u00e9 \\ud83d", "environments": [{"id": "acme-prod", "hosts": null,
		"delivery": {"stream": "https:\/\/media.example\/"},
		"playback_ids": [{"id": "P1", "asset": {"id": "A1", "duration": 1.25e2, "meta": {"n": 1E1, "t": true, "z": null, "l": [1, null]}}}]}]}]
	}`, nil).Config
	o := c.Organizations[0]
	if o.Name != "\U0001F600 é \\ud83d" || c.Server.Listen != "127.0.0.1:0" || c.Server.DrainDelay != 0 {
		t.Errorf("name %q, server %+v", o.Name, c.Server)
	}
	e := o.Environments[0]
	want := map[string]any{"n": 10.0, "t": true, "l": []any{1.0, nil}}
	if a := e.PlaybackIDs[0].Asset; *a.Duration != 125 || !cmp.Equal(a.Meta, want) || e.Delivery.Stream != "https://media.example" {
		t.Errorf("asset %+v, delivery %+v", a, e.Delivery)
	}
	refused(t, "{\"server\":\n{\"listen\":\n8080}}", "server.listen", "8080", nil)
	if p := problemsOf(t, "{\"server\":\n{\"x\":\n8080}}", nil); p[0].Line != 2 {
		t.Errorf("%v, want line 2", p)
	}
}

func TestIDsAreTakenAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, `
playback_ids:
  - {id: 0123, asset: {id: 1e5, passthrough: 1.50}}
  - {id: 0x1F, live_stream: {id: 20270101}}
  - {id: "true"}
  - {id: yes}`, nil)
	if p := e.PlaybackIDs[0]; p.ID != "0123" || p.Asset.ID != "1e5" || *p.Asset.Passthrough != "1.50" {
		t.Errorf("playback_ids[0] = %+v %+v", p, p.Asset)
	}
	if p := e.PlaybackIDs[1]; p.ID != "0x1F" || p.LiveStream.ID != "20270101" || e.PlaybackIDs[2].ID != "true" || e.PlaybackIDs[3].ID != "yes" {
		t.Errorf("playback_ids = %+v", e.PlaybackIDs)
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, `"90"`: 90 * time.Second, "90s": 90 * time.Second, "15m": 15 * time.Minute, "1h": time.Hour, "7d": 7 * 24 * time.Hour,
	} {
		c := mustLoad(t, "server: {drain_delay: "+text+"}\nkeystore: {vault: {refresh_interval: "+text+"}}", nil).Config
		if c.Server.DrainDelay != want || c.Keystore.Vault.RefreshInterval != want {
			t.Errorf("%s = %v, want %v", text, c.Server.DrainDelay, want)
		}
	}
	for _, text := range []string{"0", "0s", `""`} {
		if d := mustLoad(t, "server: {drain_delay: "+text+"}", nil).Config.Server.DrainDelay; d != 0 {
			t.Errorf("drain_delay %s = %v, want none", text, d)
		}
	}
	for _, zero := range []string{"0", "0s", "0d"} {
		refused(t, "keystore: {vault: {refresh_interval: "+zero+"}}", "keystore.vault.refresh_interval", "longer than zero", nil)
		refused(t, environment("token: {default_ttl: "+zero+"}"), inEnvironment+"token.default_ttl", "longer than zero", nil)
		refused(t, environment("token: {max_ttl: "+zero+"}"), inEnvironment+"token.max_ttl", "longer than zero", nil)
		refused(t, environment(viewer("max_lifetime: "+zero)), inEnvironment+"viewers[0].max_lifetime", "longer than zero", nil)
	}
	for _, bad := range []string{"-1", "-5s", "1.5", "1.5h", "1h30m", "5 s", "5ms", "1w", "0x10", "1_000", "1e3", "99999999999999999999", "P1D", "soon", "true", "[5s]"} {
		refused(t, "server: {drain_delay: "+bad+"}", "server.drain_delay", "", nil)
	}
}
