package signer_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/signer"
)

func TestBackendsMakeTheSameBytesForEveryDigestAndKey(t *testing.T) {
	t.Parallel()
	available := backends(t)
	for _, file := range []string{"rsa2048-1.pem", "rsa2048-2.pem", "rsa3072.pem", "rsa4096.pem"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			key := testKey(t, file)
			opensslVerify := opensslVerifier(t, &key.PublicKey)
			digests := make([][sha256.Size]byte, 24)
			for i := range digests {
				if _, err := rand.Read(digests[i][:]); err != nil {
					t.Fatal(err)
				}
			}
			want := make([][]byte, len(digests))
			for i, digest := range digests {
				signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
				if err != nil {
					t.Fatalf("crypto/rsa: SignPKCS1v15(%x): %v", digest, err)
				}
				if err := opensslVerify(digest[:], signature); err != nil {
					t.Fatalf("OpenSSL refuses the signature of %x: %v", digest, err)
				}
				want[i] = signature
			}
			for name, backend := range available {
				handle, err := backend.Load(key)
				if err != nil {
					t.Fatalf("%s: Load: %v", name, err)
				}
				for i, digest := range digests {
					work := []signer.Work{{Key: handle, Digest: digest}}
					backend.Sign(work)
					if work[0].Err != nil {
						t.Fatalf("%s: Sign(%x): %v", name, digest, work[0].Err)
					}
					if !bytes.Equal(work[0].Signature, want[i]) {
						t.Fatalf("%s signs %x as %x, crypto/rsa as %x", name, digest, work[0].Signature, want[i])
					}
				}
			}
		})
	}
}

func TestBackendRefusesAKeyThatIsInconsistent(t *testing.T) {
	t.Parallel()
	for name, backend := range backends(t) {
		key := *testKey(t, "rsa2048-1.pem")
		key.D = new(big.Int).Add(key.D, big.NewInt(2))
		if _, err := backend.Load(&key); err == nil {
			t.Errorf("%s loads a key whose exponents disagree", name)
		}
		key = *testKey(t, "rsa2048-1.pem")
		key.Primes = key.Primes[:1]
		if _, err := backend.Load(&key); err == nil {
			t.Errorf("%s loads a key with one prime", name)
		}
	}
}

func TestBackendRefusesAHandleOfAnother(t *testing.T) {
	t.Parallel()
	for name, backend := range backends(t) {
		work := []signer.Work{{Key: "not a handle"}}
		if backend.Sign(work); work[0].Err == nil || work[0].Signature != nil {
			t.Errorf("%s signs with a foreign handle", name)
		}
	}
}

func TestOpenBackend(t *testing.T) {
	t.Parallel()
	auto, err := signer.OpenBackend(signer.BackendAuto, nil)
	if err != nil {
		t.Fatalf("OpenBackend(auto): %v", err)
	}
	if _, ok := backends(t)[auto.Name()]; !ok {
		t.Errorf("OpenBackend(auto) is %s, which cannot be opened by name", auto.Name())
	}
	if _, err := signer.OpenBackend("gpu", nil); err == nil {
		t.Error("OpenBackend(gpu) gave a backend")
	}
	if !cgo {
		if _, err := signer.OpenBackend(signer.BackendOpenSSL, nil); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("OpenBackend(openssl) without cgo: %v, want an error of one line", err)
		}
	}
	// A clock that stands still measures no difference, so nothing speaks for OpenSSL.
	still, err := signer.OpenBackend(signer.BackendAuto, func() time.Time { return now })
	if err != nil || still.Name() != signer.BackendGo {
		t.Errorf("OpenBackend(auto) takes %v, %v although nothing is faster", still, err)
	}
}

func TestDescribeBackendNamesTheLibrary(t *testing.T) {
	t.Parallel()
	for name, backend := range backends(t) {
		want := name + " (" + backend.Describe() + ")"
		if got := signer.DescribeBackend(name); got != want {
			t.Errorf("DescribeBackend(%s) = %q, want %q", name, got, want)
		}
	}
	if got := signer.DescribeBackend(signer.BackendAuto); !strings.HasPrefix(got, "go (") && !strings.HasPrefix(got, "openssl (") && !strings.HasPrefix(got, "multibuffer (") {
		t.Errorf("DescribeBackend(auto) = %q", got)
	}
	if got := signer.DescribeBackend("gpu"); !strings.HasPrefix(got, "none: ") {
		t.Errorf("DescribeBackend(gpu) = %q, want none and why", got)
	}
}

// The vectors are about verification: whoever checks our signatures must
// refuse forged ones, in crypto/rsa (Verify) and in OpenSSL alike.
func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("testdata/rsa_signature_2048_sha256_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		TestGroups []struct {
			PublicKeyPem string `json:"publicKeyPem"`
			Tests        []struct {
				ID      int    `json:"tcId"`
				Comment string `json:"comment"`
				Msg     string `json:"msg"`
				Sig     string `json:"sig"`
				Result  string `json:"result"`
			} `json:"tests"`
		} `json:"testGroups"`
	}
	if err := json.Unmarshal(document, &vectors); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, group := range vectors.TestGroups {
		block, _ := pem.Decode([]byte(group.PublicKeyPem))
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		key, ok := parsed.(*rsa.PublicKey)
		if !ok {
			t.Fatalf("the group's key is a %T", parsed)
		}
		opensslVerify := opensslVerifier(t, key)
		for _, test := range group.Tests {
			count++
			digest := sha256.Sum256(unhex(t, test.Msg))
			signature := unhex(t, test.Sig)
			for library, err := range map[string]error{
				"crypto/rsa": rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature),
				"openssl":    opensslVerify(digest[:], signature),
			} {
				if test.Result != "acceptable" && (err == nil) != (test.Result == "valid") {
					t.Errorf("%d (%s): %s says %v, want %s", test.ID, test.Comment, library, err, test.Result)
				}
			}
		}
	}
	if count != 259 {
		t.Errorf("ran %d vectors, want all 259", count)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
