package multibuffer_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/playgate/playgate/signer/multibuffer"
)

// testKey is a key both ways.
type testKey struct {
	private *rsa.PrivateKey
	lanes   *multibuffer.Key
}

// keys are random ones, and ones whose primes are at the borders of what 1024
// bits can be.
var keys = sync.OnceValues(func() ([]testKey, error) {
	var all []testKey
	add := func(k *rsa.PrivateKey) error {
		k.Precompute()
		if err := k.Validate(); err != nil {
			return err
		}
		lanes, err := multibuffer.NewKey(k)
		all = append(all, testKey{k, lanes})
		return err
	}
	for range 6 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		if err := add(k); err != nil {
			return nil, err
		}
	}
	primes := borderPrimes()
	for i, p := range primes {
		for _, q := range primes[i+1:] {
			if new(big.Int).Mul(p, q).BitLen() != 2048 || new(big.Int).Sub(p, q).BitLen() <= 924 { // FIPS 186-5 A.1.3
				continue
			}
			for _, order := range [][]*big.Int{{p, q}, {q, p}} {
				if err := add(keyOf(order)); err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
})

// keyOf makes a key of two primes.
func keyOf(primes []*big.Int) *rsa.PrivateKey {
	one, e := big.NewInt(1), big.NewInt(multibuffer.Exponent)
	phi := new(big.Int).Mul(new(big.Int).Sub(primes[0], one), new(big.Int).Sub(primes[1], one))
	return &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(primes[0], primes[1]), E: multibuffer.Exponent},
		D:         new(big.Int).ModInverse(e, phi),
		Primes:    primes,
	}
}

// borderPrimes returns the next primes from patterns on: all ones, the least whose
// square has 2048 bits, digits of all ones and of all zeros in turn.
func borderPrimes() []*big.Int {
	one := big.NewInt(1)
	bit := func(n uint) *big.Int { return new(big.Int).Lsh(one, n) }
	pattern := func(ones, every uint) *big.Int {
		n := bit(1023)
		for at := uint(0); at+ones <= 1023; at += every {
			n.Or(n, new(big.Int).Lsh(new(big.Int).Sub(bit(ones), one), at))
		}
		return n.SetBit(n, 1022, 1)
	}
	root := new(big.Int).Sqrt(bit(2047))
	starts := []*big.Int{
		new(big.Int).Sub(bit(1024), bit(16)), new(big.Int).Sub(bit(1024), bit(930)),
		root, new(big.Int).Add(bit(1023), bit(1022)), pattern(52, 104), pattern(520, 1040),
	}
	var primes []*big.Int
	for _, p := range starts {
		p.SetBit(p, 0, 1)
		for new(big.Int).Mod(p, big.NewInt(multibuffer.Exponent)).Cmp(one) == 0 || !p.ProbablyPrime(16) {
			p.Add(p, big.NewInt(2))
		}
		primes = append(primes, p)
	}
	return primes
}

func testKeys(tb testing.TB) []testKey {
	tb.Helper()
	all, err := keys()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// signatures is how many signatures the differential test makes: a hundred
// thousand, fewer where it would take long.
func signatures(t *testing.T) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("PLAYGATE_TEST_SIGNATURES")); err == nil {
		return n
	}
	switch {
	case multibuffer.Supported() != nil:
		t.Logf("the assembly is NOT TESTED here: %v", multibuffer.Supported())
		return 64
	case raceDetector:
		return 10_000
	}
	return 100_000
}

// Every signature must be the one that crypto/rsa accepts, which of each digest and
// key is one only; some are compared with crypto/rsa's own.
func TestSignaturesAreThoseOfCryptoRSA(t *testing.T) {
	t.Parallel()
	all := testKeys(t)
	var left atomic.Int64
	left.Store(int64(signatures(t)))
	var running sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			batch := multibuffer.NewBatch()
			for left.Add(-multibuffer.Lanes) > -multibuffer.Lanes && !t.Failed() {
				signAndCompare(t, batch, all)
			}
		})
	}
	running.Wait()
}

func signAndCompare(t *testing.T, batch *multibuffer.Batch, all []testKey) {
	t.Helper()
	var seed [multibuffer.Lanes][sha256.Size]byte
	var chosen [multibuffer.Lanes]testKey
	used := mathrand.IntN(1 << multibuffer.Lanes) // any of the lanes
	for lane := range seed {
		binary.NativeEndian.PutUint64(seed[lane][:], mathrand.Uint64())
		seed[lane] = sha256.Sum256(seed[lane][:])
		if chosen[lane] = all[mathrand.IntN(len(all))]; used>>lane&1 == 1 || used%3 == 0 {
			batch.Set(lane, chosen[lane].lanes, &seed[lane])
		}
	}
	batch.ComputeSupported()
	for lane, key := range chosen {
		if used>>lane&1 == 0 && used%3 != 0 {
			continue
		}
		signature, err := batch.Result(lane)
		if err == nil {
			err = rsa.VerifyPKCS1v15(&key.private.PublicKey, crypto.SHA256, seed[lane][:], signature)
		}
		if err != nil {
			t.Errorf("signing %x with n=%x in lane %d: %v", seed[lane], key.private.N, lane, err)
			return
		}
		if mathrand.IntN(100) == 0 {
			want, err := rsa.SignPKCS1v15(nil, key.private, crypto.SHA256, seed[lane][:])
			if err != nil || !bytes.Equal(want, signature) {
				t.Errorf("signing %x: %x, want %x (%v)", seed[lane], signature, want, err)
			}
		}
	}
	batch.Wipe()
}

func TestPortableSignaturesAreTheSame(t *testing.T) {
	t.Parallel()
	all := testKeys(t)
	for first := 0; first < len(all); first += multibuffer.Lanes {
		batch := multibuffer.NewBatch()
		digest := sha256.Sum256([]byte{byte(first)})
		some := all[first:min(first+multibuffer.Lanes, len(all))]
		for lane, key := range some {
			batch.Set(lane, key.lanes, &digest)
		}
		batch.ComputePortable()
		for lane, key := range some {
			signature, err := batch.Result(lane)
			want, _ := rsa.SignPKCS1v15(nil, key.private, crypto.SHA256, digest[:])
			if err != nil || !bytes.Equal(signature, want) {
				t.Errorf("lane %d: %x, %v, want %x", lane, signature, err, want)
			}
		}
	}
}

// One lane alone, in every position; the others carry a dummy, and give nothing.
func TestEveryLaneAlone(t *testing.T) {
	t.Parallel()
	key := testKeys(t)[0]
	batch := multibuffer.NewBatch()
	for lane := range multibuffer.Lanes {
		digest := sha256.Sum256([]byte{byte(lane)})
		batch.Set(lane, key.lanes, &digest)
		batch.ComputeSupported()
		for other := range multibuffer.Lanes {
			signature, err := batch.Result(other)
			if other != lane {
				if err == nil {
					t.Errorf("lane %d, which was not set, gives a signature", other)
				}
				continue
			}
			if err == nil {
				err = rsa.VerifyPKCS1v15(&key.private.PublicKey, crypto.SHA256, digest[:], signature)
			}
			if err != nil {
				t.Errorf("lane %d: %v", lane, err)
			}
		}
		batch.Wipe()
	}
}

// A bit that flips, anywhere and at any time until the signature has been verified, never makes a wrong signature leave;
// and it spoils no other lane.
func TestAFaultyLaneGivesNothing(t *testing.T) {
	t.Parallel()
	all := testKeys(t)
	steps, _ := multibuffer.Steps()
	batch := multibuffer.NewBatch()
	tries, caught := 2000, 0
	if multibuffer.Supported() != nil || raceDetector {
		tries = 20
	}
	for try := range tries {
		var digests [multibuffer.Lanes][sha256.Size]byte
		for lane := range digests {
			digests[lane] = sha256.Sum256([]byte{byte(lane), byte(try)})
			batch.Set(lane, all[lane].lanes, &digests[lane])
		}
		before, word := mathrand.IntN(steps), mathrand.IntN(batch.Words())
		if !batch.IsRead(before, word) {
			continue
		}
		batch.ComputeWithFault(before, word, uint(mathrand.IntN(52)))
		for lane := range digests {
			signature, err := batch.Result(lane)
			switch {
			case errors.Is(err, multibuffer.ErrFault) && lane == word%multibuffer.Lanes:
				caught++
			case err != nil:
				t.Fatalf("lane %d failed, the fault was in %d", lane, word%multibuffer.Lanes)
			default:
				if err := rsa.VerifyPKCS1v15(&all[lane].private.PublicKey, crypto.SHA256, digests[lane][:], signature); err != nil {
					t.Fatalf("a wrong signature was given away: %v", err)
				}
			}
		}
		batch.Wipe()
	}
	t.Logf("%d of %d faults spoiled a signature, and were caught", caught, tries)
	if caught == 0 {
		t.Error("no fault was caught")
	}
}

func TestUnsuitableKeysAreRefused(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	three := *testKeys(t)[0].private
	three.Primes = append(three.Primes[:2:2], big.NewInt(3))
	other := *testKeys(t)[0].private
	other.E = 3
	uneven := *testKeys(t)[0].private
	uneven.Primes = []*big.Int{new(big.Int).Lsh(uneven.Primes[0], 1), uneven.Primes[1]}
	for name, key := range map[string]*rsa.PrivateKey{"1024 bits": short, "three primes": &three, "e=3": &other, "a prime of 1025 bits": &uneven} {
		if _, err := multibuffer.NewKey(key); !errors.Is(err, multibuffer.ErrUnsuitable) {
			t.Errorf("NewKey of a key with %s: %v, want ErrUnsuitable", name, err)
		}
	}
}
