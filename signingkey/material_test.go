package signingkey_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/file"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// TestAKeyWithoutACreationTimeIsAsOldAsItsFile: that is what is shown; nothing
// is decided by it.
func TestAKeyWithoutACreationTimeIsAsOldAsItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, string(env)), 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, file.New(file.Config{Dir: dir}))
	old := r.clock.Now().Add(-time.Minute)
	for name, text := range map[string]string{
		"K1.pem": string(keystoretest.PEM(t, 1)), "K1.json": `{"state":"active"}`,
		"K2.pem": string(keystoretest.PEM(t, 2)), "K2.json": `{"state":"prepared"}`,
		"K3.pem": string(keystoretest.PEM(t, 3)), "K3.json": `{"state":"prepared","created_at":1700000000}`,
	} {
		path := filepath.Join(dir, string(env), name)
		r.check(os.WriteFile(path, []byte(text), 0o600))
		r.check(os.Chtimes(path, old, old))
	}
	want := map[playback.KeyID]time.Time{"K1": old, "K2": old, "K3": time.Unix(1700000000, 0)}
	list, err := r.List(t.Context(), env)
	r.check(err)
	for _, key := range list {
		if !key.CreatedAt.Equal(want[key.ID]) {
			t.Errorf("List: %s was created at %v, want %v", key.ID, key.CreatedAt, want[key.ID])
		}
	}
	one, err := r.Get(t.Context(), env, "K1")
	r.check(err)
	if !one.CreatedAt.Equal(old) {
		t.Errorf("Get: created at %v, want %v", one.CreatedAt, old)
	}
	// Nobody knows since when K2 is published, so it may sign at once.
	activated, err := r.Activate(t.Context(), signingkey.Order{Environment: env, Key: "K2", By: "tester"})
	r.check(err)
	if activated.State != keystore.Active || !activated.CreatedAt.Equal(old) {
		t.Errorf("activated: %+v", activated)
	}
}

// TestAnImportedKeyIsStoredWellFormed: what had to be repaired is said once, and
// not at every look at the keys.
func TestAnImportedKeyIsStoredWellFormed(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, store)
			folded := strings.ReplaceAll(string(keystoretest.PEM(t, 1)), "\n", " ")
			imported, err := r.Import(t.Context(), signingkey.Import{Environment: env, Key: "K1", By: "tester", Material: playback.NewSecret(folded)})
			r.check(err)
			if len(imported.Repairs) != 1 || !strings.Contains(imported.Repairs[0], "spaces") {
				t.Errorf("repaired %q, want the line breaks", imported.Repairs)
			}
			set, problems, err := keystore.Load(t.Context(), r.keeper, env)
			if err != nil || len(problems) > 0 || len(set.Keys) != 1 || set.Keys[0].Thumbprint != keystoretest.Thumbprint(t, 1) {
				t.Errorf("stored: %v, %v, %v", set.Keys, problems, err)
			}
		})
	}
}
