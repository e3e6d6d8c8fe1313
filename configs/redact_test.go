package configs_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
)

// full is a document that gives every kind of member, with secrets to hide.
func full() (string, files) {
	return `
server: {trusted_proxies: [10.0.0.0/8, "fd00::/8"], drain_delay: 0, listen: "[::]:8080"}
log: {access: errors}
keystore: {driver: vault, vault: {address: https://vault.example, auth: {method: approle, role_id: "0123", secret_id_file: secret-id}}}
organizations:
  - id: "007"
    name: "yes"
    environments:
      - id: acme-prod
        name: 'not: a mapping'
        hosts: [play.example, "::1"]
        mux: {token_id: m1, token_secret_file: key}
        keys: {rotate_every: 30d}
        token: {pseudonym_key_file: key, max_ttl: 7d, default_ttl: 90s}
        viewers: [{issuer: "null", jwks_file: jwks.json, algorithms: [EdDSA]}]
        access_tokens: [{id: t1, name: "~", secret_sha256: ` + hash + `, permissions: [data:read]}]
        playback_ids:
          - {id: "0123", policy: drm, asset: {id: 1e5, duration: 0.1, passthrough: "a\nb", meta: {n: 1, s: "1", l: [1, {x: null}]}, created_at: 2027-01-01T00:00:00.5Z}}
          - {id: P2, live_stream: {id: L1, status: idle}}
        policy: {version: 1, rules: [{id: "on", effect: allow, when: "true", grant: {custom: {a: " x\n  y ", b: "0123", c: "1e5"}}}]}
        cors_origins: ["https://a.example"]
        rate_limits: {viewer: ""}
      - {id: acme-dev, policy_file: p.yaml}
`, files{home + "/secret-id": "s3cret-id", home + "/key": "s3cret-pseudonym-key", home + "/jwks.json": "{}", home + "/p.yaml": "version: 1\n"}
}

func TestRedactedShowsNoSecret(t *testing.T) {
	t.Parallel()
	text, around := full()
	c := mustLoad(t, text, around).Config
	shown, err := configs.Redacted(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "config", c)
	for _, output := range []string{string(shown), fmt.Sprintf("%v %+v %#v", *c, *c, *c), logged.String()} {
		for _, secret := range []string{"s3cret", hash, "0x2b, 0xb8", "43 184"} {
			if strings.Contains(output, secret) {
				t.Errorf("%q shows in\n%.3000s", secret, output)
			}
		}
	}
	if !strings.Contains(string(shown), "secret_sha256: '[redacted]'") {
		t.Errorf("the hash is not marked in\n%s", shown)
	}
}

func TestRedactedIsTheEffectiveConfigurationAndLoadsAgain(t *testing.T) {
	t.Parallel()
	text, around := full()
	for name, text := range map[string]string{"everything": text, "nothing": "", "the contract's example": example} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			around := around
			if name != "everything" {
				around = exampleFiles
			}
			first := mustLoad(t, text, around).Config
			shown, err := configs.Redacted(first)
			if err != nil {
				t.Fatal(err)
			}
			again := mustLoad(t, strings.ReplaceAll(string(shown), "'[redacted]'", hash), around).Config
			if diff := cmp.Diff(first, again, compare()); diff != "" {
				t.Errorf("loading\n%s\nagain: %s", shown, diff)
			}
		})
	}
}

func TestRedactedPrintsDefaults(t *testing.T) {
	t.Parallel()
	shown, err := configs.Redacted(mustLoad(t, "", nil).Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"server:\n  listen: :8080\n", "  drain_delay: 5s\n", "  trusted_proxies: []\n", "  access: 1/100\n", "    dir: /etc/playgate/keys\n",
		"    refresh_interval: 15s\n", "cache:\n  max_entries: 100000\n  max_bytes: 256MiB\n  max_identities: 0\n  max_unknown_ids: 0\nstore:\n  driver: sqlite\n  dsn: /etc/playgate/playgate.db\n  dsn_file: \"\"\n", "organizations: []\n",
	} {
		if !strings.Contains(string(shown), line) {
			t.Errorf("%q is not in\n%s", line, shown)
		}
	}
}
