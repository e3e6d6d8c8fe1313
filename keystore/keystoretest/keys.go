package keystoretest

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Keys is how many test keys there are.
const Keys = 4

//go:embed testdata
var testdata embed.FS

// PEM returns the test key number n, from 1 to Keys, as PKCS#1 PEM. Making keys
// takes too long to do it in every test.
func PEM(t testing.TB, n int) []byte {
	t.Helper()
	text, err := testdata.ReadFile(fmt.Sprintf("testdata/%d.pem", n))
	if err != nil {
		t.Fatal(err)
	}
	// So labelled, as in Go's own tests, that scanners for secrets ignore them.
	return bytes.ReplaceAll(text, []byte("TESTING KEY"), []byte("PRIVATE KEY"))
}

// Base64 returns test key n as Mux hands keys out: base64 of PKCS#1 PEM.
func Base64(t testing.TB, n int) []byte {
	t.Helper()
	return []byte(base64.StdEncoding.EncodeToString(PEM(t, n)))
}

// PKCS8 returns test key n as PKCS#8 PEM.
func PKCS8(t testing.TB, n int) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(Private(t, n))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Private returns test key n.
func Private(t testing.TB, n int) *rsa.PrivateKey {
	t.Helper()
	private, _, err := keystore.Parse(PEM(t, n))
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// Thumbprint returns the thumbprint of test key n.
func Thumbprint(t testing.TB, n int) playback.Thumbprint {
	t.Helper()
	return keystore.ThumbprintOf(&Private(t, n).PublicKey)
}

// Key returns test key n under an ID, in a state.
func Key(t testing.TB, id playback.KeyID, n int, state keystore.State) *keystore.Key {
	t.Helper()
	private := Private(t, n)
	return &keystore.Key{
		ID: id, State: state, Private: private,
		Thumbprint: keystore.ThumbprintOf(&private.PublicKey), Origin: fmt.Sprintf("keystoretest %d", n),
	}
}
