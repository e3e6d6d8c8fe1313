package identity_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
)

func writeJWKS(t *testing.T, path string, p *identitytest.Provider) {
	t.Helper()
	body, err := p.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func trustFile(path string) identity.Issuer {
	i := trust(prod)
	i.JWKSURL, i.JWKSFile = "", path
	return i
}

// TestFileIsReadAgainWhenItChanges, within two seconds and a bit, without a
// reload; also where it is replaced by another of the same size.
func TestFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jwks.json")
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		writeJWKS(t, path, p)
		v := start(t, identity.Config{}, trustFile(path))
		raw := sign(t, p, nil)
		mustVerify(t, v, raw, prod)

		next := provider(t, nil) // the same kid, the same size
		writeJWKS(t, path, next)
		time.Sleep(2500 * time.Millisecond)
		if remembers(v, raw) {
			t.Error("remembered though the file has another key")
		}
		wantCode(t, v, raw, invalid)
		mustVerify(t, v, sign(t, next, nil), prod)

		if _, err := next.Rotate("EdDSA"); err != nil {
			t.Fatal(err)
		}
		writeJWKS(t, path+".new", next)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		mustVerify(t, v, sign(t, next, nil), prod) // at once: an unknown kid asks for it
	})
}

// TestFileIsReadAgainOnReload, without waiting for the next look.
func TestFileIsReadAgainOnReload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jwks.json")
	synctest.Test(t, func(t *testing.T) {
		p, next := provider(t, nil), provider(t, nil)
		writeJWKS(t, path, p)
		v := start(t, identity.Config{}, trustFile(path))
		raw := sign(t, p, nil)
		mustVerify(t, v, raw, prod)
		writeJWKS(t, path, next)
		reload(t, v, trustFile(path))
		wantCode(t, v, raw, invalid)
		wantCode(t, v, sign(t, next, nil), "")
	})
}

// TestBrokenFileKeepsTheLastGoodKeys: missing, half-written, too large.
func TestBrokenFileKeepsTheLastGoodKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(dir, "jwks.json")
		p := provider(t, nil)
		v := start(t, identity.Config{}, trustFile(path))
		wantCode(t, v, sign(t, p, nil), unavailable) // no file yet
		writeJWKS(t, path, p)
		time.Sleep(40 * time.Second)
		wantCode(t, v, sign(t, p, nil), "")
		body, err := p.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		for _, content := range [][]byte{nil, body[:len(body)/2], append(body, bytes.Repeat([]byte(" "), identity.MaxKeySet)...)} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * time.Second)
			wantCode(t, v, sign(t, p, nil), "")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(23 * time.Hour)
		wantCode(t, v, sign(t, p, nil), "")
		time.Sleep(time.Hour)
		wantCode(t, v, sign(t, p, nil), unavailable)
		writeJWKS(t, path, p)
		time.Sleep(40 * time.Second)
		wantCode(t, v, sign(t, p, nil), "")
	})
}

// TestFileMustBeAFile: a pipe would never end, a directory cannot be read.
func TestFileMustBeAFile(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, "/dev/zero"} {
		v := start(t, identity.Config{Now: noon}, trustFile(path))
		wantCode(t, v, sign(t, p, nil), unavailable)
	}
}
