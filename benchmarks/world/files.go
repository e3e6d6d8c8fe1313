package world

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Environment is the one environment of the gateway.
const Environment = "bench"

// FirstKey is the ID of the signing key that the gateway starts with.
const FirstKey = "BENCHKEY"

const configuration = `
server: {listen: %[1]q, admin_listen: %[2]q, drain_delay: 0}
log: {access: 1/100}
keystore: %[3]s
cache: {max_entries: %[4]d, max_bytes: %[5]q}
organizations:
  - id: bench
    name: Bench
    environments:
      - id: bench
        name: Bench
        token: {default_ttl: 1h}
        viewers:
          - {issuer: "https://idp.bench.example", audience: playgate, jwks_file: jwks.json, algorithms: [RS256]}
        rate_limits: {viewer: "100000000-M", ip: "100000000-M", access_token: ""}
        policy_file: rules.yaml
`

const rules = `
version: 1
rules:
  - {id: blocked, effect: deny, when: 'viewer.claims.?blocked.orValue(false) == true', reason: blocked}
  - {id: embargo, effect: deny, when: 'asset.passthrough == "film-1" && now < timestamp("2027-01-01T00:00:00Z")', reason: not_released}
  - {id: staff, effect: allow, when: 'viewer.claims.?role.orValue("") == "staff"', grant: {ttl: 1h, types: [video, stats]}}
  - id: premium
    effect: allow
    when: 'viewer.authenticated && viewer.claims.?plan.orValue("") == "premium"'
    grant: {ttl: %[1]s, types: [video, thumbnail, storyboard, stats], params: {video: {max_resolution: 2160p}}}
# revision %[2]d
`

// EverythingOn says what the figures include, for reports.
const EverythingOn = "RS256 viewer token per request, 4 CEL rules, viewer and IP limits (2), Prometheus metrics, access log sampled at 1/100, 4 types granted"

// State is what a signing key's state document says.
type State struct {
	State       string `json:"state"` // prepared, active or retired
	ActivatedAt int64  `json:"activated_at,omitempty"`
	RetiredAt   int64  `json:"retired_at,omitempty"`
}

// put replaces a file as a whole.
func (g *Gateway) put(name string, content []byte) error {
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	temporary := filepath.Join(filepath.Dir(path), ".new")
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// SetRules writes the rule document; two revisions differ in one byte at least.
// ttl is the lifetime that premium viewers are granted.
func (g *Gateway) SetRules(ttl time.Duration, revision int) error {
	return g.put("rules.yaml", fmt.Appendf(nil, rules, fmt.Sprintf("%ds", int(ttl.Seconds())), revision))
}

// AddKey makes a signing key with a state document beside it, and returns its
// public half.
func (g *Gateway) AddKey(id string, state State) (*rsa.PublicKey, error) {
	key, text, err := signingKey()
	if err != nil {
		return nil, err
	}
	// The state first: a key without one would be active.
	if err := g.SetKeyState(id, state); err != nil {
		return nil, err
	}
	return &key.PublicKey, g.put(filepath.Join("keys", Environment, id+".pem"), text)
}

// SetKeyState replaces a key's state document.
func (g *Gateway) SetKeyState(id string, state State) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("writing a key's state: %w", err)
	}
	return g.put(filepath.Join("keys", Environment, id+".json"), text)
}

func signingKey() (*rsa.PrivateKey, []byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("making a signing key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
}

// writeFiles makes the keys and all files.
func (g *Gateway) writeFiles(c Config, listen, admin string) error {
	var err error
	if g.Issuer = c.Issuer; g.Issuer == nil {
		if g.Issuer, err = NewIssuer(); err != nil {
			return err
		}
	}
	encode := base64.RawURLEncoding.EncodeToString
	public := g.Issuer.key.PublicKey
	jwks := fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"idp","n":%q,"e":%q}]}`,
		encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes()))
	if err := g.put("jwks.json", []byte(jwks)); err != nil {
		return err
	}
	key, text, err := signingKey()
	if err != nil {
		return err
	}
	g.Key, g.PEM = &key.PublicKey, text
	keystore := "{driver: file, file: {dir: keys}}"
	if c.Vault == nil {
		err = g.put(filepath.Join("keys", Environment, FirstKey+".pem"), text)
		if err == nil {
			err = g.SetKeyState(FirstKey, State{State: "active", ActivatedAt: time.Now().Unix() - 1})
		}
	} else {
		keystore = fmt.Sprintf(`{driver: vault, vault: {address: %q, refresh_interval: 1s, auth: {method: token, token_file: vault-token}}}`, c.Vault.Address)
		err = errors.Join(g.put("vault-token", []byte(c.Vault.token)), c.Vault.putKey(Environment, FirstKey, text))
	}
	if err != nil {
		return err
	}
	if err := g.SetRules(c.TTL, 0); err != nil {
		return err
	}
	return g.put("playgate.yaml", fmt.Appendf(nil, configuration, listen, admin, keystore, c.MaxEntries, c.MaxBytes))
}
