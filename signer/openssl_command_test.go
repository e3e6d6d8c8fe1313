package signer_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// opensslVerifier returns the openssl command's check of PKCS#1 v1.5 signatures
// of SHA-256 digests under key. It shares no code with the backends: neither
// crypto/rsa nor this program's binding of libcrypto.
func opensslVerifier(t *testing.T, key *rsa.PublicKey) func(digest, signature []byte) error {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the openssl command is missing: %v", err)
		}
		t.Skipf("SKIPPED: the openssl command is missing, so no second implementation checks the signatures: %v", err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := write("public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return func(digest, signature []byte) error {
		verify := exec.CommandContext(t.Context(), "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public,
			"-pkeyopt", "rsa_padding_mode:pkcs1", "-pkeyopt", "digest:sha256",
			"-in", write("digest", digest), "-sigfile", write("signature", signature))
		if out, err := verify.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", verify, err, out)
		}
		return nil
	}
}
