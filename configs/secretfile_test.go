package configs_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
)

// TestEveryFileIsPublicOrASecret: who adds a setting that names a file says which.
func TestEveryFileIsPublicOrASecret(t *testing.T) {
	t.Parallel()
	public := []string{
		"server.tls.cert_file", "keystore.vault.ca_file", "keystore.vault.auth.cert_file", "geo.database", "geo.asn_database",
		"organizations.environments.viewers.jwks_file", "organizations.environments.viewers.ca_file",
		"organizations.environments.policy_file", "organizations.environments.policy_shadow_file",
		"keystore.file.dir",   // judged by the key store
		"decisions.file.path", // made by the gateway
	}
	walk(reflect.TypeFor[configs.Config](), "", func(path string, f reflect.StructField) {
		if f.Type != reflect.TypeFor[configs.Path]() && f.Type != reflect.TypeFor[[]configs.Path]() {
			return
		}
		if secret := f.Tag.Get("secret") != ""; secret == slices.Contains(public, path) {
			t.Errorf("%s is a secret: %v; want the tag, or the list of this test, and not both", path, secret)
		}
	})
}

// judged loads a document whose files with secrets are judged by their names:
// write… is refused, read… is warned of.
func judged(text string, around files) (*configs.Loaded, error) {
	return configs.Source{
		Path: home + "/playgate.yaml", Data: []byte(text), ReadFile: around.read,
		Exposure: func(path string) ([]error, error) {
			switch name := filepath.Base(path); {
			case strings.HasPrefix(name, "write"):
				return nil, fmt.Errorf("%s may be written to", name)
			case strings.HasPrefix(name, "read"):
				return []error{fmt.Errorf("%s may be read", name)}, nil
			}
			return nil, nil
		},
	}.Load()
}

const secretDocument = `
server: {tls: {cert_file: cert, key_file: KEY}}
store: {dsn_file: DSN}
decisions: {output: stdout, pseudonym_key_file: NAME1}
keystore: {driver: vault, vault: {address: "https://vault.example", auth: AUTH}}
STRICT
organizations:
  - id: acme
    environments:
      - id: acme-prod
        mux: {environment_id: e1, token_id: t1, token_secret_file: NAME2}
        token: {pseudonym_key_file: NAME3}
        webhooks:
          secret_files: [other, NAME4]
`

func TestFilesWithSecretsAreJudged(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	auths := map[string][]string{
		"{method: token, token_file: NAME5}":                                                {"token_file"},
		"{method: approle, role_id_file: NAME5, secret_id_file: NAME6}":                     {"role_id_file", "secret_id_file"},
		"{method: approle, role_id: r, wrapped_secret_id_file: NAME7}":                      {"wrapped_secret_id_file"},
		"{method: jwt, role: r, jwt_file: NAME7}":                                           {"jwt_file"},
		"{method: kubernetes, role: r, jwt_file: NAME7, token_file: NAME5}":                 {"jwt_file"},
		"{method: cert, cert_file: NAME7, key_file: NAME8}":                                 {"key_file"},
		"{method: cert, cert_file: NAME7, key_file: NAME8, token_file: NAME5}":              {"key_file"},
		"{method: token, token_file: other, jwt_file: NAME7, secret_id_file: NAME5}":        nil,
		"{method: approle, role_id: r, secret_id_file: other, token_file: NAME5}":           nil,
		"{method: jwt, role: r, jwt_file: other, wrapped_secret_id_file: NAME6}":            nil,
		"{method: kubernetes, role: r, token_file: NAME5, key_file: NAME6, cert_file: x.y}": nil,
	}
	for auth, members := range auths {
		want := []string{
			"server.tls.key_file:2", "store.dsn_file:3", "decisions.pseudonym_key_file:4",
			inEnvironment + "mux.token_secret_file:11", inEnvironment + "token.pseudonym_key_file:12", inEnvironment + "webhooks.secret_files[1]:14",
		}
		for _, m := range members {
			want = append(want, "keystore.vault.auth."+m+":5")
		}
		slices.Sort(want)
		for _, kind := range []string{"write", "read"} {
			around := files{home + "/cert": cert, home + "/" + kind + "-key": key, home + "/" + kind + "-dsn": "/var/lib/playgate.db", home + "/other": strings.Repeat("k", 20)}
			for n := 1; n < 7; n++ { // 7 and 8 are not there: whoever uses them says so
				around[fmt.Sprintf("%s/%s%d", home, kind, n)] = strings.Repeat("k", 20)
			}
			document := func(strict string) string {
				return strings.NewReplacer("AUTH", strings.ReplaceAll(auth, "NAME", kind), "KEY", kind+"-key", "DSN", kind+"-dsn", "NAME", kind, "STRICT", strict).Replace(secretDocument)
			}
			strict := strings.Replace(document("#"), "driver: vault", "driver: vault, file: {strict_permissions: true}", 1)
			loaded, err := judged(document("#"), around)
			_, strictErr := judged(strict, around)
			switch {
			case kind == "write":
				samePlaces(t, auth, want, problemsIn(t, err), "may be written to")
			case err != nil:
				t.Errorf("%s: files that may be read are refused: %v", auth, err)
			default:
				samePlaces(t, auth, want, about(loaded.Warnings), "may be read")
				samePlaces(t, auth, want, problemsIn(t, strictErr), "strict_permissions refuses that")
			}
		}
	}
}

// problemsIn returns the problems that an error is.
func problemsIn(t *testing.T, err error) []configs.Problem {
	t.Helper()
	var problems configs.Problems
	if !errors.As(err, &problems) {
		t.Errorf("%v, want problems", err)
	}
	return problems
}

// about returns those of some warnings that are about permissions.
func about(warnings []configs.Problem) []configs.Problem {
	return slices.DeleteFunc(slices.Clone(warnings), func(p configs.Problem) bool { return !strings.Contains(p.Message, " may be ") })
}

func samePlaces(t *testing.T, what string, want []string, got []configs.Problem, words string) {
	t.Helper()
	var places []string
	for _, p := range got {
		places = append(places, fmt.Sprintf("%s:%d", p.Path, p.Line))
		if !strings.Contains(p.Message, words) {
			t.Errorf("%s: %s, want %q", what, p, words)
		}
	}
	slices.Sort(places)
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("%s, %s: %s", what, words, diff)
	}
}

// TestAMemoryNoticesPermissions: they can change without the file.
func TestAMemoryNoticesPermissions(t *testing.T) {
	t.Parallel()
	var memory configs.Memory
	var refused error
	var warnings []error
	load := func() (*configs.Loaded, error) {
		return configs.Source{
			Path: home + "/playgate.yaml", Data: []byte(environment("token: {pseudonym_key_file: key}")), Memory: &memory,
			ReadFile: files{home + "/key": strings.Repeat("k", 20)}.read,
			Exposure: func(string) ([]error, error) { return warnings, refused },
		}.Load()
	}
	for range 2 {
		loaded, err := load()
		if err != nil || len(about(loaded.Warnings)) > 0 {
			t.Fatalf("%v, %v", loaded, err)
		}
	}
	if memory.Taken() != 1 {
		t.Fatal("nothing is taken over, so that nothing is shown")
	}
	warnings = []error{errors.New("key may be read")}
	for range 2 {
		if loaded, err := load(); err != nil || len(about(loaded.Warnings)) != 1 {
			t.Fatalf("a key that may be read: %v, %v", loaded, err)
		}
	}
	refused = errors.New("key may be written to")
	if loaded, err := load(); err == nil {
		t.Errorf("a key that may be written to is taken over: %v", loaded)
	}
}
