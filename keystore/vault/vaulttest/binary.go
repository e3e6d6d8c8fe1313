package vaulttest

import (
	"os"
	"path/filepath"
	"testing"
)

// Version is the version of Vault that tools/vault/build.sh builds.
const Version = "1.21.0"

// Binary returns the path of the Vault binary: that in the environment variable
// PLAYGATE_TEST_VAULT, else that which tools/vault/build.sh leaves in the user's
// cache. Without one the test is skipped, or fails if CI is set.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("PLAYGATE_TEST_VAULT")
	if path == "" {
		// As in build.sh; os.UserCacheDir differs from it on macOS.
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			cache = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		path = filepath.Join(cache, "playgate", "vault-"+Version)
	}
	if _, err := os.Stat(path); err != nil { //nolint:gosec // the developer's own environment names it
		const missing = "NOT TESTED AGAINST THE REAL VAULT: %v; run tools/vault/build.sh (make test does), or set PLAYGATE_TEST_VAULT"
		if os.Getenv("CI") != "" {
			t.Fatalf(missing, err)
		}
		t.Skipf(missing, err)
	}
	return path
}
