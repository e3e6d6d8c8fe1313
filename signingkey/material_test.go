package signingkey_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

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
