package signer_test

import (
	"crypto/rsa"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/signer/multibuffer"
)

// now is when the tests happen.
var now = time.Unix(1_800_000_000, 0)

// testKey reads a private key of testdata.
func testKey(tb testing.TB, file string) *rsa.PrivateKey {
	tb.Helper()
	pem, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	key, _, err := keystore.Parse(pem)
	if err != nil {
		tb.Fatalf("Parse(%s): %v", file, err)
	}
	return key
}

// backends returns every backend that this machine has. On the machines that
// count, openssl is one of them.
func backends(tb testing.TB) map[string]signer.Backend {
	tb.Helper()
	out := make(map[string]signer.Backend)
	for _, name := range []string{signer.BackendGo, signer.BackendOpenSSL, signer.BackendMultibuffer} {
		backend, err := signer.OpenBackend(name, nil)
		switch {
		case err == nil:
			out[name] = backend
		case name == signer.BackendMultibuffer && multibuffer.Supported() != nil:
			tb.Logf("without multibuffer, which is NOT TESTED here: %v", err)
		case name != signer.BackendOpenSSL || cgo && os.Getenv("CI") != "":
			tb.Fatalf("OpenBackend(%s): %v", name, err)
		default:
			tb.Logf("without %s: %v", name, err)
		}
	}
	return out
}

func goBackend(tb testing.TB) signer.Backend {
	tb.Helper()
	return backends(tb)[signer.BackendGo]
}

// record is one key of an environment in a test.
type record struct {
	id    playback.KeyID
	file  string
	state keystore.State
}

func keyOf(tb testing.TB, r record) *keystore.Key {
	tb.Helper()
	private := testKey(tb, r.file)
	return &keystore.Key{
		ID: r.id, State: r.state, Private: private,
		Thumbprint: keystore.ThumbprintOf(&private.PublicKey), Origin: "testdata/" + r.file,
	}
}

// snapshot makes a snapshot of one environment, acme.
func snapshot(tb testing.TB, records ...record) keystore.Snapshot {
	tb.Helper()
	var set keystore.Keyset
	for _, r := range records {
		set.Keys = append(set.Keys, keyOf(tb, r))
	}
	return keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": set})
}

var active = record{"K1", "rsa2048-1.pem", keystore.Active}

// newRing returns a ring with the keys of acme.
func newRing(tb testing.TB, backend signer.Backend, records ...record) *signer.Ring {
	tb.Helper()
	ring := signer.NewRing(signer.RingConfig{Backend: backend})
	ring.Update(snapshot(tb, records...))
	return ring
}

// claims returns the claims of a video token under the ring's active key.
func claims(tb testing.TB, ring *signer.Ring) *playback.Claims {
	tb.Helper()
	id, thumbprint, ok := ring.Active("acme")
	if !ok {
		tb.Fatal("acme has no active key")
	}
	return &playback.Claims{
		Environment: "acme", Key: id, Thumbprint: thumbprint, Kid: playback.KidClaim,
		Sub: "PID1", Aud: "v", Exp: now.Unix() + 900,
	}
}
