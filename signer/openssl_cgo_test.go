//go:build cgo && linux

package signer_test

import (
	"crypto"
	"crypto/rsa"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/playgate/playgate/signer"
)

// cgo reports whether this program can load libcrypto.
const cgo = true

// TestIncompleteLibcryptoIsRefusedNotFatal runs this test again in a process
// whose libcrypto.so.3 was built without something.
func TestIncompleteLibcryptoIsRefusedNotFatal(t *testing.T) {
	t.Parallel()
	if os.Getenv("PLAYGATE_TEST_INCOMPLETE_LIBCRYPTO") != "" {
		if _, err := signer.OpenBackend(signer.BackendOpenSSL, nil); err == nil || !strings.Contains(err.Error(), "built without") {
			t.Errorf("OpenBackend(openssl) = %v, want an error that names the symbol", err)
		}
		if backend, err := signer.OpenBackend(signer.BackendAuto, nil); err != nil || backend.Name() == signer.BackendOpenSSL {
			t.Errorf("OpenBackend(auto) = %v, %v, want another", backend, err)
		}
		return
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "fake.c")
	if err := os.WriteFile(source, []byte("unsigned int OPENSSL_version_major(void) { return 3; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"libcrypto.so.3", "libcrypto.so"} {
		build := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-o", filepath.Join(dir, name), source)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build, err, out)
		}
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIncompleteLibcryptoIsRefusedNotFatal$", "-test.v")
	again.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "PLAYGATE_TEST_INCOMPLETE_LIBCRYPTO=1")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("with an incomplete libcrypto: %v\n%s", err, out)
	}
}

// Handles that nobody refers to are freed while others sign: the finalizer of
// one key must not pull the ground from under a signature.
func TestOpenSSLKeysMayBeDroppedWhileTheySign(t *testing.T) {
	t.Parallel()
	backend, ok := backends(t)[signer.BackendOpenSSL]
	if !ok {
		return // backends said why, and fails in CI
	}
	key := testKey(t, "rsa2048-1.pem")
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 25 {
				handle, err := backend.Load(key)
				if err != nil {
					t.Errorf("Load: %v", err)
					return
				}
				work := []signer.Work{{Key: handle}}
				backend.Sign(work)
				if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, work[0].Digest[:], work[0].Signature); err != nil {
					t.Errorf("a signature does not verify: %v", err)
				}
				runtime.GC()
			}
		})
	}
	running.Wait()
}
