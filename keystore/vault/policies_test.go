package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

// request is one call of Vault's API.
type request struct {
	method, path string
	body         map[string]any
}

func (q request) String() string { return q.method + " " + q.path }

// signing returns the body of transit/sign, with other members.
func signing(other map[string]any) map[string]any {
	body := map[string]any{
		"batch_input": []any{map[string]any{"input": base64.StdEncoding.EncodeToString(make([]byte, 32))}}, "prehashed": true,
		"hash_algorithm": "sha2-256", "signature_algorithm": "pkcs1v15", "marshaling_algorithm": "jws", "key_version": 1,
	}
	maps.Copy(body, other)
	return body
}

// Each file of deploy/vault is applied to a real Vault, which then does what it
// must allow, and refuses what it must forbid.
func TestPoliciesAllowWhatIsNeededAndNothingElse(t *testing.T) {
	t.Parallel()
	const (
		key      = "secret/data/playgate/acme/signing-keys/K1"
		metadata = "secret/metadata/playgate/acme/signing-keys"
		journal  = "secret/data/playgate/acme/journal"
		transit  = "transit/keys/playgate.acme.K1"
		sign     = "transit/sign/playgate.acme.K1"
	)
	write := map[string]any{"data": map[string]any{"state": "active"}}
	reading := []request{{"GET", key, nil}, {"GET", metadata + "/K1", nil}, {"LIST", metadata, nil}, {"GET", "auth/token/lookup-self", nil}, {"PUT", "auth/token/renew-self", nil}}
	nobody := []request{ // no policy allows these
		{"GET", "secret/data/other", nil},
		{"GET", "secret/data/playgate/acme/webhooks/W1", nil},
		{"LIST", "secret/metadata/playgate", nil},
		{"LIST", "secret/metadata/playgate/acme", nil},
		{"PUT", metadata + "/K1", map[string]any{"custom_metadata": map[string]any{"a": "b"}}},
		{"PUT", "secret/destroy/playgate/acme/signing-keys/K1", map[string]any{"versions": []int{1}}},
		{"PUT", "secret/delete/playgate/acme/signing-keys/K1", map[string]any{"versions": []int{1}}},
		{"DELETE", key, nil},
		{"GET", "secret/config", nil},
		{"PUT", "auth/token/create", nil},
		{"GET", "sys/policies/acl/default", nil},
		{"LIST", "transit/keys", nil},
		{"PUT", transit + "/rotate", nil},
		{"PUT", transit + "/trim", map[string]any{"min_available_version": 1}},
		{"PUT", transit + "/config", map[string]any{"exportable": true}},
		{"PUT", transit + "/config", map[string]any{"min_encryption_version": 1}},
		{"GET", "transit/export/signing-key/playgate.acme.K1", nil},
		{"GET", "transit/backup/playgate.acme.K1", nil},
		{"PUT", transit, map[string]any{"type": "rsa-2048"}},
		{"PUT", "transit/decrypt/playgate.acme.K1", map[string]any{"ciphertext": "vault:v1:AA=="}},
		{"PUT", sign + "/sha1", signing(nil)},
		{"PUT", sign, signing(map[string]any{"signature_algorithm": "pss"})},
		{"PUT", sign, signing(map[string]any{"hash_algorithm": "sha1"})},
		{"PUT", sign, signing(map[string]any{"hash_algorithm": "none"})},
		{"PUT", transit + "/import", map[string]any{"ciphertext": "AA==", "type": "rsa-2048", "exportable": true}},
		{"PUT", transit + "/import", map[string]any{"ciphertext": "AA==", "type": "rsa-2048", "allow_plaintext_backup": true}},
	}
	changing := []request{{"PUT", key, write}, {"PUT", journal, write}, {"DELETE", metadata + "/K1", nil}}
	using := []request{{"GET", transit, nil}, {"PUT", sign, signing(nil)}}
	importing := []request{
		{"GET", transit, nil},
		{"GET", "transit/wrapping_key", nil},
		{"PUT", transit + "/import", map[string]any{
			"ciphertext": "AA==", "type": "rsa-2048", "hash_function": "SHA256", "allow_rotation": false, "exportable": false, "allow_plaintext_backup": false,
		}},
		{"PUT", transit + "/config", map[string]any{"deletion_allowed": true}},
		{"DELETE", transit, nil},
	}
	for name, rules := range map[string]struct{ allowed, forbidden [][]request }{
		"gateway-kv":       {[][]request{reading}, [][]request{nobody, changing, using, importing}},
		"gateway-transit":  {[][]request{reading, using}, [][]request{nobody, changing, importing[1:]}},
		"operator-kv":      {[][]request{reading, changing}, [][]request{nobody, using, importing}},
		"operator-transit": {[][]request{reading, changing, importing}, [][]request{nobody, using[1:]}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := vaulttest.Dev(t)
			server.Transit("transit")
			server.Policy(name, vaulttest.Rules(t, name, "secret", "playgate"))
			admin := adminOf(t, server)
			if err := admin.Create(t.Context(), acme, keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(t, 1), Life: keystore.Life{State: keystore.Prepared}}); err != nil {
				t.Fatal(err)
			}
			token := server.Token(&api.TokenCreateRequest{Policies: []string{name}, NoDefaultPolicy: true})
			for _, list := range rules.forbidden {
				for _, q := range list {
					if status, text := send(t, server, token, q); status != http.StatusForbidden {
						t.Errorf("%v %v: %d %s, want 403", q, q.body, status, text)
					}
				}
			}
			for _, list := range rules.allowed { // the last of them deletes the key
				for _, q := range list {
					if status, text := send(t, server, token, q); status == http.StatusForbidden || status == http.StatusNotFound {
						t.Errorf("%v: %d %s, want it to be allowed", q, status, text)
					}
				}
			}
		})
	}
	files, err := filepath.Glob("../../deploy/vault/*.hcl")
	if err != nil || len(files) != 4 {
		t.Errorf("deploy/vault holds %q, %v: each wants a row here", files, err)
	}
	readme, err := os.ReadFile("../../deploy/vault/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.Contains(string(readme), "`"+filepath.Base(file)+"`") {
			t.Errorf("the README does not explain %s", file)
		}
	}
}

// adminOf returns a source with the root token, in mode transit with the
// default paths.
func adminOf(t *testing.T, server *vaulttest.Server) *vault.Source {
	t.Helper()
	source, err := vault.New(vault.Config{
		Address: server.Address, Mode: vault.TransitMode, Mount: "secret", Prefix: "playgate",
		Auth: vault.Auth{Method: vault.TokenMethod, TokenFile: server.File("root", server.RootToken)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

func send(t *testing.T, server *vaulttest.Server, token string, q request) (int, string) {
	t.Helper()
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), q.method, server.Address+"/v1/"+q.path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", token)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(text))
}
