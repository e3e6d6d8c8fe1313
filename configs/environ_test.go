package configs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
)

func TestAnyScalarCanBeSetByEnvironmentVariable(t *testing.T) {
	t.Parallel()
	want := defaults()
	want.Server = configs.Server{
		Listen: "127.0.0.1:1", TLS: configs.TLS{}, AdminListen: "127.0.0.1:2", AdminPprof: true, DrainDelay: 0, UnresolvedRateLimit: "1-S",
	}
	want.Log = configs.Log{Level: "debug", Format: "text", Access: 1}
	want.Keystore = configs.Keystore{
		Driver: "memory", File: configs.FileStore{Dir: "/keys"},
		Vault: configs.Vault{
			Address: "https://vault.example", CAFile: "/ca", Namespace: "ns", Mode: "transit", Mount: "kv", Prefix: "p", TransitMount: "tr", RefreshInterval: time.Minute,
			Auth: configs.VaultAuth{
				Method: "approle", TokenFile: "/t", Mount: "ar", Role: "ro", RoleID: "123", RoleIDFile: "/r", SecretIDFile: "/s",
				WrappedSecretIDFile: "/w", JWTFile: "/j", CertFile: "/c", KeyFile: "/k",
			},
		},
	}
	want.Signer = configs.Signer{Backend: "go", Concurrency: 2, Queue: 3}
	want.Cache = configs.Cache{MaxEntries: 4, MaxBytes: 5 << 20, MaxIdentities: 6, MaxUnknownIDs: 7}
	want.Store = configs.Store{Driver: "postgres", DSN: "postgres://u:p@h/d", Source: playback.NewSecret("postgres://u:p@h/d")}
	got := mustLoad(t, "log: {level: warn}\nserver: {listen: ':99'}", nil,
		"PLAYGATE_SERVER_LISTEN=127.0.0.1:1", "PLAYGATE_SERVER_TLS_CERT_FILE=", "PLAYGATE_SERVER_TLS_KEY_FILE=", "PLAYGATE_SERVER_ADMIN_LISTEN=127.0.0.1:2",
		"PLAYGATE_SERVER_ADMIN_PPROF=true", "PLAYGATE_SERVER_DRAIN_DELAY=0", "PLAYGATE_SERVER_UNRESOLVED_RATE_LIMIT=1-S",
		"PLAYGATE_LOG_LEVEL=debug", "PLAYGATE_LOG_FORMAT=text", "PLAYGATE_LOG_ACCESS=all",
		"PLAYGATE_KEYSTORE_DRIVER=memory", "PLAYGATE_KEYSTORE_FILE_DIR=/keys", "PLAYGATE_KEYSTORE_VAULT_ADDRESS=https://vault.example/",
		"PLAYGATE_KEYSTORE_VAULT_NAMESPACE=ns", "PLAYGATE_KEYSTORE_VAULT_MODE=transit", "PLAYGATE_KEYSTORE_VAULT_MOUNT=kv", "PLAYGATE_KEYSTORE_VAULT_PREFIX=/p/",
		"PLAYGATE_KEYSTORE_VAULT_REFRESH_INTERVAL=60", "PLAYGATE_KEYSTORE_VAULT_AUTH_METHOD=approle", "PLAYGATE_KEYSTORE_VAULT_AUTH_TOKEN_FILE=/t",
		"PLAYGATE_KEYSTORE_VAULT_AUTH_MOUNT=ar", "PLAYGATE_KEYSTORE_VAULT_AUTH_ROLE_ID=123", "PLAYGATE_KEYSTORE_VAULT_AUTH_ROLE_ID_FILE=/r",
		"PLAYGATE_KEYSTORE_VAULT_AUTH_SECRET_ID_FILE=/s", "PLAYGATE_KEYSTORE_VAULT_CA_FILE=/ca", "PLAYGATE_KEYSTORE_VAULT_TRANSIT_MOUNT=/tr/",
		"PLAYGATE_KEYSTORE_VAULT_AUTH_WRAPPED_SECRET_ID_FILE=/w", "PLAYGATE_KEYSTORE_VAULT_AUTH_ROLE=ro", "PLAYGATE_KEYSTORE_VAULT_AUTH_JWT_FILE=/j",
		"PLAYGATE_KEYSTORE_VAULT_AUTH_CERT_FILE=/c", "PLAYGATE_KEYSTORE_VAULT_AUTH_KEY_FILE=/k",
		"PLAYGATE_SIGNER_BACKEND=go", "PLAYGATE_SIGNER_CONCURRENCY=2", "PLAYGATE_SIGNER_QUEUE=3", "PLAYGATE_CACHE_MAX_ENTRIES=4", "PLAYGATE_CACHE_MAX_BYTES=5MiB",
		"PLAYGATE_CACHE_MAX_IDENTITIES=6", "PLAYGATE_CACHE_MAX_UNKNOWN_IDS=7",
		"PLAYGATE_STORE_DRIVER=postgres", "PLAYGATE_STORE_DSN=postgres://u:p@h/d", "PLAYGATE_STORE_DSN_FILE=",
		"PATH=/bin", "OTHER_SERVER_LISTEN=:3", "playgate_server_listen=:4", "HOME",
	)
	if diff := cmp.Diff(want, got.Config, compare()); diff != "" {
		t.Error(diff)
	}
	if len(got.Ignored) != 0 {
		t.Errorf("ignored %q, want none", got.Ignored)
	}
}

func TestAVariableThatNamesNothingIsIgnoredAndReported(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, "", nil,
		"PLAYGATE_SERVER=x", "PLAYGATE_SERVER_LISTEN_=x", "PLAYGATE_SERVER_TLS=x", "PLAYGATE_=x", "PLAYGATE_server_listen=x", "PLAYGATE_STORE=x", "PLAYGATE_KEYSTORE_FILE=x",
		"PLAYGATE_SERVER_TRUSTED_PROXIES=10.0.0.0/8", "PLAYGATE_SERVER_TRUSTED_PROXIES_0=10.0.0.0/8", "PLAYGATE_ORGANIZATIONS=[]", "PLAYGATE_ORGANIZATIONS_0_ID=a",
		"PLAYGATE_ORGANIZATIONS_ID=a", "PLAYGATE_TEST_VAULT_ADDR=x", "PLAYGATE_TEST_VAULT_ADDR=y",
	)
	if diff := cmp.Diff(defaults(), got.Config, compare()); diff != "" {
		t.Errorf("lists cannot be set, and nothing else was: %s", diff)
	}
	want := []string{
		"PLAYGATE_", "PLAYGATE_KEYSTORE_FILE", "PLAYGATE_ORGANIZATIONS", "PLAYGATE_ORGANIZATIONS_0_ID", "PLAYGATE_ORGANIZATIONS_ID", "PLAYGATE_SERVER",
		"PLAYGATE_SERVER_LISTEN_", "PLAYGATE_SERVER_TLS", "PLAYGATE_SERVER_TRUSTED_PROXIES", "PLAYGATE_SERVER_TRUSTED_PROXIES_0", "PLAYGATE_STORE",
		"PLAYGATE_TEST_VAULT_ADDR", "PLAYGATE_server_listen",
	}
	if diff := cmp.Diff(want, got.Ignored); diff != "" {
		t.Error(diff)
	}
}

func TestABadVariableIsReportedAtItsPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ variable, path, words string }{
		{"PLAYGATE_SERVER_DRAIN_DELAY=soon", "server.drain_delay", "(from PLAYGATE_SERVER_DRAIN_DELAY)"},
		{"PLAYGATE_SIGNER_QUEUE=many", "signer.queue", "want an integer of at least 1"},
		{"PLAYGATE_SIGNER_QUEUE=", "signer.queue", "want an integer"},
		{"PLAYGATE_SERVER_ADMIN_PPROF=yes", "server.admin_pprof", "want true or false"},
		{"PLAYGATE_LOG_LEVEL=null", "log.level", "want one of"},
		{"PLAYGATE_KEYSTORE_VAULT_MODE=pki", "keystore.vault.mode", "want one of kv, transit"},
		{"PLAYGATE_SERVER_LISTEN=nowhere", "server.listen", "want host:port"},
	} {
		refused(t, "", c.path, c.words, nil, c.variable)
	}
	// A section that is no mapping stays the problem that it is.
	refused(t, "server: 5", "server", "want a mapping", nil, "PLAYGATE_SERVER_LISTEN=:1")
	refused(t, "[]", "", "want a mapping", nil, "PLAYGATE_SERVER_LISTEN=:1")
}

func TestAVariableReplacesWhatTheFileSaysWhateverItIs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"server: {listen: []}", "server: {listen: true}", "server:", "server: {listen: }", "x: &s {listen: ':2'}\nserver: *s"} {
		if strings.HasPrefix(text, "x") {
			refused(t, text, "x", "unknown key", nil, "PLAYGATE_SERVER_LISTEN=:1")
			continue
		}
		if got := mustLoad(t, text, nil, "PLAYGATE_SERVER_LISTEN=:1").Config.Server.Listen; got != ":1" {
			t.Errorf("%s: listen = %q, want :1", text, got)
		}
	}
}

func TestRelativePathsStartAtTheFileThatNamesThem(t *testing.T) {
	t.Parallel()
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	around := files{
		home + "/rules/a.yaml": "version: 1\n", "/etc/jwks.json": "{}", home + "/secret": "k",
	}
	loaded := mustLoad(t, "keystore: {file: {dir: ../keys}}\n"+environment(`
policy_file: rules/../rules/a.yaml
token: {pseudonym_key_file: ./secret}
viewers: [{issuer: x, jwks_file: ../jwks.json, algorithms: [RS256]}]`), around, "PLAYGATE_KEYSTORE_VAULT_AUTH_TOKEN_FILE=token")
	c := loaded.Config
	e := c.Organizations[0].Environments[0]
	if c.Keystore.File.Dir != "/etc/keys" || e.PolicyFile != home+"/rules/a.yaml" || e.Token.PseudonymKeyFile != home+"/secret" || e.Viewers[0].JWKSFile != "/etc/jwks.json" {
		t.Errorf("dir %s, policy %s, key %s, jwks %s", c.Keystore.File.Dir, e.PolicyFile, e.Token.PseudonymKeyFile, e.Viewers[0].JWKSFile)
	}
	// No file names what a variable says: that starts at the working directory.
	if got := c.Keystore.Vault.Auth.TokenFile; string(got) != filepath.Join(cwd, "token") {
		t.Errorf("token_file = %s, want it in %s", got, cwd)
	}
}

func TestSecretsComeFromFilesAndAreTrimmed(t *testing.T) {
	t.Parallel()
	around := files{
		home + "/key": "\n  a pseudonym key \r\n", home + "/empty": " \n", home + "/large": strings.Repeat("x", 65<<10),
		home + "/token": "hvs.s3cret\n", home + "/role": "role-1\n", home + "/secret-id": "\tsid\n",
	}
	in := func(file string) string { return environment("token: {pseudonym_key_file: " + file + "}") }
	at := inEnvironment + "token.pseudonym_key_file"
	loaded := mustLoad(t, in("key"), around)
	if key := loaded.Config.Organizations[0].Environments[0].Token.PseudonymKey; key.Reveal() != "a pseudonym key" {
		t.Errorf("key = %q", key.Reveal())
	}
	refused(t, in("empty"), at, "is empty", around)
	refused(t, in("missing"), at, "reading /etc/playgate/missing", around)
	refused(t, in("large"), at, "larger than 64KiB", around)

	const vault = "keystore: {driver: vault, vault: {address: https://vault.example, auth: "
	auth := mustLoad(t, vault+"{token_file: token}}}", around).Config.Keystore.Vault.Auth
	if auth.Token.Reveal() != "hvs.s3cret" {
		t.Errorf("token = %q", auth.Token.Reveal())
	}
	loaded = mustLoad(t, vault+"{method: approle, role_id_file: role, secret_id_file: secret-id}}}", around)
	auth = loaded.Config.Keystore.Vault.Auth
	if auth.SecretID.Reveal() != "sid" || auth.RoleIDFile != home+"/role" || auth.Mount != "" {
		t.Errorf("auth = %+v", auth)
	}
	if diff := cmp.Diff([]string{home + "/playgate.yaml", home + "/role", home + "/secret-id"}, loaded.Files); diff != "" {
		t.Errorf("files: %s", diff)
	}
	mustLoad(t, vault+"{method: approle, mount: /approle/eu/, role_id: r, secret_id_file: secret-id}}}", around)
	const authPath = "keystore.vault.auth."
	mustLoad(t, vault+"{token_file: ''}}}", around) // an agent's address
	refused(t, vault+"{}}}", authPath+"token_file", "reading /run/secrets/vault-token", around)
	refused(t, vault+"{method: approle, secret_id_file: secret-id}}}", authPath+"role_id", "is required", around)
	refused(t, vault+"{method: approle, role_id: r}}}", authPath+"secret_id_file", "is required", around)
	refused(t, vault+"{method: approle, role_id: r, role_id_file: role, secret_id_file: secret-id}}}", authPath+"role_id_file", "one of them", around)
	refused(t, vault+"{method: approle, role_id: r, wrapped_secret_id_file: w, secret_id_file: secret-id}}}", authPath+"wrapped_secret_id_file", "one of them", around)
	mustLoad(t, vault+"{method: approle, role_id: r, wrapped_secret_id_file: taken-away}}}", around)
	mustLoad(t, vault+"{method: kubernetes, role: r}}}", around)
	refused(t, vault+"{method: kubernetes}}}", authPath+"role", "is required by the method kubernetes", around)
	mustLoad(t, vault+"{method: jwt, role: r, jwt_file: jwt}}}", around)
	refused(t, vault+"{method: jwt, role: r}}}", authPath+"jwt_file", "is required by the method jwt", around)
	mustLoad(t, vault+"{method: cert, cert_file: c, key_file: k}}}", around)
	refused(t, vault+"{method: cert, cert_file: c}}}", authPath+"key_file", "is required by the method cert", around)
	refused(t, "keystore: {driver: vault, vault: {auth: {method: cert, cert_file: c, key_file: k}}}", "keystore.vault.address", "must be https", around)
	refused(t, "keystore: {driver: vault, vault: {ca_file: role, auth: {token_file: token}}}", "keystore.vault.ca_file", "no certificate", around)
	// The secrets of a store that is not used need not be there.
	mustLoad(t, "keystore: {driver: file, vault: {auth: {method: approle}}}", nil)
}

func TestVaultAddressAndPaths(t *testing.T) {
	t.Parallel()
	v := mustLoad(t, "keystore: {vault: {address: 'https://vault.example:8200/', mount: /kv/eu/, prefix: play/gate/}}", nil).Config.Keystore.Vault
	if v.Address != "https://vault.example:8200" || v.Mount != "kv/eu" || v.Prefix != "play/gate" {
		t.Errorf("vault = %+v", v)
	}
	for _, bad := range []string{"a//b", "../secret", "a/./b", "a?b", "a b", "a%2fb", "a#b"} {
		refused(t, "keystore: {vault: {mount: '"+bad+"'}}", "keystore.vault.mount", "not a path in Vault", nil)
		refused(t, "keystore: {vault: {prefix: '"+bad+"'}}", "keystore.vault.prefix", "not a path in Vault", nil)
	}
	refused(t, "keystore: {vault: {mode: transit, prefix: 'a+b'}}", "keystore.vault.prefix", "transit key", nil)
	refused(t, "keystore: {vault: {transit_mount: ''}}", "keystore.vault.transit_mount", "is required", nil)
	for _, bad := range []string{
		"vault:8200", "https://v?x=1", "https://t:s3cret@v", "unix://", "unix:///", "unix:/run/vault.sock", "unix://run/vault.sock", "unix://host/run/vault.sock",
		"unix:///run/../vault.sock", "unix:///run/vault.sock/", "unix:///run//vault.sock", "unix:///run/vault%2esock", "unix:///run/vault.sock?x=1", "UNIX:///run/vault.sock",
	} {
		refused(t, "keystore: {vault: {address: '"+bad+"'}}", "keystore.vault.address", "", nil)
	}
	if got := mustLoad(t, "keystore: {vault: {address: 'unix:///run/vault.sock'}}", nil).Config.Keystore.Vault.Address; got != "unix:///run/vault.sock" {
		t.Errorf("a socket's address = %q", got)
	}
}

func TestPolicyComesFromAFileOrStandsInPlace(t *testing.T) {
	t.Parallel()
	const document = "# kept as it is\nversion: 1\nrules: []\n"
	around := files{home + "/p.yaml": document}
	fromFile := theEnvironment(t, "policy_file: p.yaml", around).Policy
	want := configs.Policy{Document: []byte(document), File: home + "/p.yaml", Path: inEnvironment + "policy_file"}
	if diff := cmp.Diff(want, fromFile); diff != "" {
		t.Error(diff)
	}
	inPlace := theEnvironment(t, `
policy:
  version: 1
  rules:
    - {id: yes, effect: allow, when: 'true', grant: {ttl: 1h, types: [video], custom: {a: "0123", b: "line\n  two\n"}}}`, nil).Policy
	want = configs.Policy{Path: inEnvironment + "policy", Document: []byte(`version: 1
rules:
    - id: yes
      effect: allow
      when: "true"
      grant:
        ttl: 1h
        types:
            - video
        custom:
            a: "0123"
            b: "line\n  two\n"
`)}
	if diff := cmp.Diff(string(want.Document), string(inPlace.Document)); diff != "" || inPlace.File != "" || inPlace.Path != want.Path {
		t.Errorf("%+v: %s", inPlace, diff)
	}
	refused(t, environment("policy_file: p.yaml\npolicy: {version: 1}"), inEnvironment+"policy_file", "one of them", around)
	refused(t, environment("policy_file: q.yaml"), inEnvironment+"policy_file", "reading /etc/playgate/q.yaml: file does not exist", around)
	if p := theEnvironment(t, "policy_file: p.yaml\npolicy: {}", around).Policy; p.File == "" {
		t.Error("an empty policy is none, and hides policy_file")
	}
	if p := theEnvironment(t, "name: x", nil).Policy; p.Document != nil || p.Path != "" {
		t.Errorf("no policy is %+v", p)
	}
}

func TestTLSNeedsBothHalvesOfOnePair(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	_, other := keyPair(t)
	around := files{home + "/c.pem": cert, home + "/k.pem": key, home + "/o.pem": other}
	loaded := mustLoad(t, "server: {tls: {cert_file: c.pem, key_file: k.pem}}", around)
	if !loaded.Config.Server.TLS.Enabled() || len(loaded.Files) != 3 {
		t.Errorf("tls = %+v, files %q", loaded.Config.Server.TLS, loaded.Files)
	}
	refused(t, "server: {tls: {cert_file: c.pem}}", "server.tls.key_file", "is required", around)
	refused(t, "server: {tls: {key_file: k.pem}}", "server.tls.cert_file", "is required", around)
	refused(t, "server: {tls: {cert_file: c.pem, key_file: o.pem}}", "server.tls", "cannot be used", around)
	refused(t, "server: {tls: {cert_file: c.pem, key_file: x.pem}}", "server.tls.key_file", "reading /etc/playgate/x.pem", around)
	if mustLoad(t, "", nil).Config.Server.TLS.Enabled() {
		t.Error("TLS is on by default")
	}
}

func TestLoadReadsFromTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rules := write("rules.yaml", "version: 1\nrules: [{id: a, effect: allow, when: 'true'}]\n")
	path := write("playgate.yaml", environment("policy_file: rules.yaml\nanonymous: true"))
	loaded, err := configs.Load(path, []string{"PLAYGATE_LOG_LEVEL=warn"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{path, rules}, loaded.Files); diff != "" || loaded.Path != path || loaded.Config.Log.Level != "warn" {
		t.Errorf("loaded %+v: %s", loaded, diff)
	}
	if _, err := configs.Load(filepath.Join(dir, "nothing.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err := configs.Load(dir, nil); err == nil {
		t.Error("a directory is read as a configuration")
	}
}

func TestAnAccessTokenOfMuxIsAPair(t *testing.T) {
	t.Parallel()
	around := files{home + "/secret": " s3cret\n"}
	e := theEnvironment(t, "mux: {environment_id: m1, token_id: t1, token_secret_file: secret, base_url: 'https://mux.example/'}", around)
	if e.Mux.TokenSecret.Reveal() != "s3cret" || !e.Mux.Enabled() || e.Mux.BaseURL != "https://mux.example" || e.Mux.EnvironmentID != "m1" {
		t.Errorf("mux = %+v", e.Mux)
	}
	refused(t, environment("mux: {token_id: t1}"), inEnvironment+"mux.token_secret_file", "is required with token_id", around)
	refused(t, environment("mux: {token_secret_file: secret}"), inEnvironment+"mux.token_id", "is required with token_secret_file", around)
	refused(t, environment("mux: {token_id: 't1:s3cret', token_secret_file: secret}"), inEnvironment+"mux.token_id", "has a colon", around)
	refused(t, environment("mux: {token_id: t1, token_secret_file: gone}"), inEnvironment+"mux.token_secret_file", "reading", around)
	refused(t, environment("mux: {base_url: mux.example}"), inEnvironment+"mux.base_url", "absolute URL", around)
}

func TestOnlySomeDurationsOfKeysMayBeZero(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, "keys: {prepare_for: 1m, rotate_every: 0, retire_after: 0s, external_max_ttl: 1d}", nil)
	if e.Keys.RotateEvery != 0 || e.Keys.RetireAfter != 0 {
		t.Errorf("keys = %+v", e.Keys)
	}
	for _, name := range []string{"prepare_for", "external_max_ttl"} {
		refused(t, environment("keys: {"+name+": 0}"), inEnvironment+"keys."+name, "longer than zero", nil)
	}
}
