package multibuffer_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/playgate/playgate/signer/multibuffer"
)

// wycheproof is the part of the vectors that counts.
type wycheproof struct {
	TestGroups []struct {
		PublicKeyPem string `json:"publicKeyPem"`
		Tests        []struct {
			ID     int    `json:"tcId"`
			Msg    string `json:"msg"`
			Sig    string `json:"sig"`
			Result string `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// The public operation guards every signature, so it must refuse what is forged. A
// signature of another length or not below n is not for it: ours are neither.
func TestWycheproofThroughThePublicOperation(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../testdata/rsa_signature_2048_sha256_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors wycheproof
	if err := json.Unmarshal(document, &vectors); err != nil {
		t.Fatal(err)
	}
	judged := 0
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
		if key.E != multibuffer.Exponent {
			continue // two vectors; such keys are not for lanes
		}
		for i, test := range group.Tests {
			signature := unhex(t, test.Sig)
			if len(signature) != key.Size() || new(big.Int).SetBytes(signature).Cmp(key.N) >= 0 {
				continue
			}
			judged++
			var digests [multibuffer.Lanes][sha256.Size]byte
			var signatures [multibuffer.Lanes][]byte
			for lane := range digests {
				digests[lane] = sha256.Sum256(unhex(t, test.Msg))
				signatures[lane] = signature
			}
			spoiled := i % multibuffer.Lanes
			digests[spoiled][0] ^= 1
			want := rsa.VerifyPKCS1v15(key, crypto.SHA256, digests[(spoiled+1)%multibuffer.Lanes][:], signature) == nil
			if test.Result != "acceptable" && want != (test.Result == "valid") {
				t.Fatalf("crypto/rsa disagrees with vector %d", test.ID)
			}
			for lane, good := range multibuffer.Open(key.N.FillBytes(make([]byte, key.Size())), &digests, &signatures) {
				if good != (want && lane != spoiled) {
					t.Errorf("vector %d, lane %d: %v", test.ID, lane, good)
				}
			}
		}
	}
	if judged < 200 {
		t.Errorf("judged %d vectors, want most of them", judged)
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

// The encoded message is what opening crypto/rsa's signature gives.
func FuzzEncode(f *testing.F) {
	key := testKeys(f)[0].private
	f.Add([]byte("seed"))
	f.Fuzz(func(t *testing.T, message []byte) {
		digest := sha256.Sum256(message)
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		opened := new(big.Int).Exp(new(big.Int).SetBytes(signature), big.NewInt(multibuffer.Exponent), key.N)
		if got := value(multibuffer.Encode(digest), 52); got.Cmp(opened) != 0 {
			t.Errorf("encoded %x as %x, want %x", digest, got, opened)
		}
	})
}

func FuzzDigits(f *testing.F) {
	f.Add([]byte{1}, true)
	f.Add(make([]byte, 256), false)
	f.Fuzz(func(t *testing.T, number []byte, exponent bool) {
		size := 52
		if exponent {
			size = 50
		}
		digits, back := multibuffer.Digits(number, size)
		want := new(big.Int).SetBytes(number)
		if got := value(digits, size); got.Cmp(want) != 0 {
			t.Errorf("the digits of %x are %x", number, digits)
		}
		if !exponent && new(big.Int).SetBytes(back).Cmp(want) != 0 {
			t.Errorf("%x comes back as %x", number, back)
		}
	})
}

func value(digits []uint64, size int) *big.Int {
	n := new(big.Int)
	for _, digit := range slices.Backward(digits) {
		n.Add(n.Lsh(n, uint(size)), new(big.Int).SetUint64(digit))
	}
	return n
}

func BenchmarkBatch(b *testing.B) {
	if err := multibuffer.Supported(); err != nil {
		b.Skip(err)
	}
	all := testKeys(b)
	b.RunParallel(func(pb *testing.PB) {
		batch := multibuffer.NewBatch()
		digest := sha256.Sum256(new(big.Int).SetUint64(rand.Uint64()).Bytes())
		for pb.Next() {
			for lane := range multibuffer.Lanes {
				batch.Set(lane, all[lane].lanes, &digest)
			}
			batch.Compute()
			for lane := range multibuffer.Lanes {
				if _, err := batch.Result(lane); err != nil {
					b.Error(err)
				}
			}
			batch.Wipe()
		}
	})
	b.ReportMetric(float64(b.N*multibuffer.Lanes)/b.Elapsed().Seconds(), "signatures/s")
}
