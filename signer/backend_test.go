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
	available, opensslVerify := backends(t), opensslVerifier()
	for _, file := range []string{"rsa2048-1.pem", "rsa2048-2.pem", "rsa3072.pem", "rsa4096.pem"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			key := testKey(t, file)
			digests := make([][sha256.Size]byte, 24)
			for i := range digests {
				if _, err := rand.Read(digests[i][:]); err != nil {
					t.Fatal(err)
				}
			}
			for name, backend := range available {
				handle, err := backend.Load(key)
				if err != nil {
					t.Fatalf("%s: Load: %v", name, err)
				}
				for _, digest := range digests {
					work := []signer.Work{{Key: handle, Digest: digest}}
					backend.Sign(work)
					want, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
					if err != nil || work[0].Err != nil {
						t.Fatalf("signing %x: %s: %v, crypto/rsa: %v", digest, name, work[0].Err, err)
					}
					if !bytes.Equal(work[0].Signature, want) {
						t.Fatalf("%s signs %x as %x, crypto/rsa as %x", name, digest, work[0].Signature, want)
					}
					if err := opensslVerify(&key.PublicKey, digest[:], work[0].Signature); err != nil {
						t.Fatalf("OpenSSL refuses a signature of %s: %v", name, err)
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
	count, opensslVerify := 0, opensslVerifier()
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
		for _, test := range group.Tests {
			count++
			digest := sha256.Sum256(unhex(t, test.Msg))
			signature := unhex(t, test.Sig)
			for library, err := range map[string]error{
				"crypto/rsa": goVerify(key, digest[:], signature),
				"openssl":    opensslVerify(key, digest[:], signature),
			} {
				if test.Result != "acceptable" && (err == nil) != (test.Result == "valid") && (cgo || library != "openssl") {
					t.Errorf("%d (%s): %s says %v, want %s", test.ID, test.Comment, library, err, test.Result)
				}
			}
		}
	}
	if count != 259 {
		t.Errorf("ran %d vectors, want all 259", count)
	}
}

func goVerify(key *rsa.PublicKey, digest, signature []byte) error {
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
