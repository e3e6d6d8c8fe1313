package environments

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"path/filepath"

	"github.com/playgate/playgate/benchmarks/world"
)

const (
	head = `server: {listen: %q, admin_listen: %q, drain_delay: 0, admin_pprof: true}
keystore: {driver: file, file: {dir: keys}}
store: {driver: memory}
organizations:
  - id: bench
    name: Bench
    environments:
`
	environment = `      - id: %[1]s
        name: %[2]s
        hosts: [%[1]s.play.example]
        viewers:
          - {issuer: "https://%[1]s.idp.example", jwks_file: %[3]s, algorithms: [RS256]}
        access_tokens:
          - {id: backend-%[1]s, name: backend, secret_sha256: "%064[4]x", permissions: ["video:read"]}
        policy_file: %[5]s
`
	rules = `version: 1
rules:
  - {id: blocked, effect: deny, when: 'viewer.claims.?blocked.orValue(false) == true', reason: blocked}
  - id: premium
    effect: allow
    when: 'viewer.authenticated && viewer.claims.?plan.orValue("") == %q'
    grant: {ttl: 15m, types: [video, thumbnail, storyboard]}
`
)

// idOf returns the ID of the n-th environment.
func idOf(n int) string { return fmt.Sprintf("e%05d", n) }

// fixture is a folder with a gateway's files.
type fixture struct {
	dir           string
	count         int
	own           bool // rules and key sets of each environment's own
	listen, admin string
	jwks          []byte
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

func (f *fixture) put(name string, content []byte) error {
	path := f.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// write makes all files.
func (f *fixture) write() error {
	issuer, err := world.NewIssuer()
	if err != nil {
		return err
	}
	f.jwks = keySet(issuer.Public())
	keys, err := newKeyring(f.count)
	if err != nil {
		return err
	}
	for n := range f.count {
		text, err := keys.next()
		if err != nil {
			return err
		}
		if err := f.writeEnvironment(n, text); err != nil {
			return err
		}
	}
	if !f.own {
		if err := f.put("jwks.json", f.jwks); err != nil {
			return err
		}
		if err := f.put("rules.yaml", fmt.Appendf(nil, rules, "premium")); err != nil {
			return err
		}
	}
	return f.configure("")
}

func (f *fixture) writeEnvironment(n int, key []byte) error {
	id := idOf(n)
	if err := f.put(filepath.Join("keys", id, "KEY.pem"), key); err != nil {
		return err
	}
	if err := f.put(filepath.Join("keys", id, "KEY.json"), []byte(`{"state":"active","created_at":1700000000,"activated_at":1700000000}`)); err != nil {
		return err
	}
	if !f.own {
		return nil
	}
	if err := f.put(filepath.Join("jwks", id+".json"), f.jwks); err != nil {
		return err
	}
	return f.put(filepath.Join("rules", id+".yaml"), fmt.Appendf(nil, rules, "premium-"+id))
}

// configure writes the configuration; name is that of the last environment.
func (f *fixture) configure(name string) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, head, f.listen, f.admin)
	for n := range f.count {
		id, called := idOf(n), idOf(n)
		if n == f.count-1 && name != "" {
			called = name
		}
		jwks, policy := "jwks.json", "rules.yaml"
		if f.own {
			jwks, policy = "jwks/"+id+".json", "rules/"+id+".yaml"
		}
		fmt.Fprintf(&text, environment, id, called, jwks, n+1, policy)
	}
	return f.put("playgate.yaml", text.Bytes())
}

// configureObjects writes a configuration of one environment with many playback
// IDs.
func (f *fixture) configureObjects(objects int) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, head, f.listen, f.admin)
	fmt.Fprintf(&text, environment, idOf(0), idOf(0), "jwks.json", 1, "rules.yaml")
	text.WriteString("        playback_ids:\n")
	for n := range objects {
		fmt.Fprintf(&text, "          - {id: Playback%08d, policy: signed, asset: {id: Asset%08d, duration: %d.5, status: ready, passthrough: \"film-%d\"}}\n", n, n, n%7200, n)
	}
	return f.put("playgate.yaml", text.Bytes())
}

func keySet(public *rsa.PublicKey) []byte {
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"idp","n":%q,"e":%q}]}`,
		encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes()))
}
