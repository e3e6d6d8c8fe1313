package signer_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/signer/multibuffer"
)

// together computes lanes as this machine can.
func together(batch *multibuffer.Batch) {
	if multibuffer.Supported() == nil {
		batch.Compute()
		return
	}
	batch.ComputePortable()
}

// One to eight signatures at a time, with keys for lanes and others among each
// other, are those of crypto/rsa and of libcrypto to the byte.
func TestBatchesOfMixedKeysAreTheSameBytesEverywhere(t *testing.T) {
	t.Parallel()
	available := backends(t)
	if scalar, ok := available[signer.BackendOpenSSL]; ok {
		available["lanes over openssl"] = signer.NewLanes(scalar, 1, together)
	}
	available["lanes over go"] = signer.NewLanes(available[signer.BackendGo], 1, together)
	keys := []*rsa.PrivateKey{testKey(t, "rsa2048-1.pem"), testKey(t, "rsa2048-2.pem"), testKey(t, "rsa3072.pem"), testKey(t, "rsa4096.pem")}
	for range 3 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	handles := make(map[string][]signer.Handle)
	for name, backend := range available {
		for _, key := range keys {
			handle, err := backend.Load(key)
			if err != nil {
				t.Fatalf("%s: Load: %v", name, err)
			}
			handles[name] = append(handles[name], handle)
		}
	}
	for round := range 6 {
		for n := 1; n <= multibuffer.Lanes; n++ {
			chosen, digests := make([]int, n), make([][sha256.Size]byte, n)
			for i := range chosen {
				digests[i] = sha256.Sum256([]byte{byte(round), byte(n), byte(i)})
				if chosen[i] = mathrand.IntN(len(keys)); round%2 == 0 && (chosen[i] == 2 || chosen[i] == 3) {
					chosen[i] = 4 // lanes alone
				}
			}
			for name, backend := range available {
				work := make([]signer.Work, n)
				for i := range work {
					work[i] = signer.Work{Key: handles[name][chosen[i]], Digest: digests[i]}
				}
				backend.Sign(work)
				for i, w := range work {
					want, err := rsa.SignPKCS1v15(nil, keys[chosen[i]], crypto.SHA256, digests[i][:])
					if err != nil || w.Err != nil || w.Healed || !bytes.Equal(w.Signature, want) {
						t.Errorf("%s, %d of %d with key %d: %x, %v, healed: %v, want %x", name, i, n, chosen[i], w.Signature, w.Err, w.Healed, want)
					}
				}
			}
		}
	}
}

// spoil has the lanes computed for another message, which no check can take for theirs.
func spoil(t *testing.T, key *rsa.PrivateKey, lanes ...int) func(*multibuffer.Batch) {
	t.Helper()
	key.Precompute()
	prepared, err := multibuffer.NewKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return func(batch *multibuffer.Batch) {
		portable(batch)
		for _, lane := range lanes {
			batch.Set(lane, prepared, &[sha256.Size]byte{})
		}
	}
}

// A batch in which all lanes fail is one fault, not eight: lanes end with the second.
func TestABatchIsOneFaultHoweverManyLanesFail(t *testing.T) {
	t.Parallel()
	key, computed := testKey(t, "rsa2048-1.pem"), 0
	spoiling := spoil(t, key, 0, 1, 2, 3, 4, 5, 6, 7)
	backend := signer.NewLanes(goBackend(t), 1, func(batch *multibuffer.Batch) { computed++; spoiling(batch) })
	handle, _ := load(t, backend, "rsa2048-1.pem")
	for round := 1; round <= 4; round++ {
		work, want := works(t, 8, handle, key)
		backend.Sign(work)
		mustBe(t, work, want)
		for i, w := range work {
			if w.Healed != (round <= 2) {
				t.Errorf("round %d, signature %d: healed: %v", round, i, w.Healed)
			}
		}
		if computed != min(round, 2) {
			t.Errorf("after %d batches %d were computed in lanes", round, computed)
		}
	}
}

// halfKey is a key of which one prime is none: it is p = b·(2b-1), and
// x^(ed) = x mod p for half of all x only. It passes every check of crypto/rsa, and the
// self-check.
func halfKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	read := func(hex string) *big.Int {
		n, ok := new(big.Int).SetString(hex, 16)
		if !ok {
			t.Fatal("not hexadecimal")
		}
		return n
	}
	b := read("ab20a49776ac4f95910d074cff92ddf3bb7202d9ec1a290155efaccd5e224ba1ba9dadd7fdd129af617f0a26d09db9da63307996b86de0b4250bfd6ecb4abd91")
	q := read("cbca87eabfb13933243fe0492478775dc4b7e5500efe14ca926e186443f41a4039ef07bd835bf1eef7b5456fa316298a7a32ff17681c9ad772895b6b67f1d9c3" +
		"19c2feeb1af9f4c3be0e0eb3df27c4d51a640011556b347e6bcd0763c1c89db03a9cf80e4aa89ff0bd03107c277bff139facf4da7d28828ede334e9237d9c20d")
	one, e := big.NewInt(1), big.NewInt(multibuffer.Exponent)
	p := new(big.Int).Mul(b, new(big.Int).Sub(new(big.Int).Lsh(b, 1), one))
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: multibuffer.Exponent},
		D:         new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	return key
}

// Whoever brings a key that fails at will gets no wrong signature, and does not end
// the lanes of the others.
func TestAKeyThatIsNoneDoesNotSwitchTheLanesOff(t *testing.T) {
	t.Parallel()
	bad, good := halfKey(t), testKey(t, "rsa2048-1.pem")
	for name, scalar := range backends(t) {
		if name == signer.BackendMultibuffer {
			continue
		}
		computed := 0
		backend := signer.NewLanes(scalar, 1, func(batch *multibuffer.Batch) { computed++; together(batch) })
		badHandle, err := backend.Load(bad)
		if err != nil {
			t.Fatal(err)
		}
		handle, _ := load(t, backend, "rsa2048-1.pem")
		failed := 0 // over OpenSSL none: it has d, which is as good as a key's
		for round := range 4 {
			work, want := works(t, 8, handle, good)
			for i := 0; i < len(work); i += 2 {
				work[i] = signer.Work{Key: badHandle, Digest: sha256.Sum256([]byte{byte(round), byte(i)})}
			}
			backend.Sign(work)
			for i, w := range work {
				switch {
				case i%2 == 1 && (w.Err != nil || w.Healed || !bytes.Equal(w.Signature, want[i])):
					t.Errorf("over %s: the good key beside the bad one: %x, %v, healed: %v", name, w.Signature, w.Err, w.Healed)
				case i%2 == 1:
				case w.Err != nil:
					failed++
					if w.Signature != nil || w.Healed {
						t.Errorf("over %s: a failed signature: %x, healed: %v", name, w.Signature, w.Healed)
					}
				case rsa.VerifyPKCS1v15(&bad.PublicKey, crypto.SHA256, w.Digest[:], w.Signature) != nil:
					t.Errorf("over %s: a wrong signature was given away", name)
				}
			}
		}
		if name == signer.BackendGo && (failed == 0 || failed == 16) {
			t.Errorf("over %s: %d of 16 signatures failed, want about half", name, failed)
		}
		if computed != 4 {
			t.Errorf("over %s: %d of 4 batches were computed in lanes", name, computed)
		}
	}
}

// A processor whose lanes are wrong is found at start, although measuring comes
// before the self-check.
func TestLanesThatAreWrongAtStartAreNotOpened(t *testing.T) {
	t.Parallel()
	spoiling := spoil(t, testKey(t, "rsa2048-1.pem"), 5)
	if err := signer.Measure(goBackend(t), spoiling); err == nil || !strings.Contains(err.Error(), "multibuffer cannot be used") {
		t.Errorf("lanes of which one is wrong are opened: %v", err)
	}
	if err := signer.Measure(goBackend(t), together); err != nil {
		t.Errorf("good lanes are not opened: %v", err)
	}
}

// Two faults are two errors in the log and in the metric, the end of lanes is one
// more; tokens are signed all the time.
func TestTheEndOfLanesIsLoggedAndMeasured(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	broken := false
	spoiling := spoil(t, testKey(t, "rsa2048-1.pem"), 0)
	backend := signer.NewLanes(goBackend(t), 1, func(batch *multibuffer.Batch) {
		if portable(batch); broken {
			spoiling(batch)
		}
	})
	ring := signer.NewRing(signer.RingConfig{Backend: backend, Registerer: registry, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ring.Update(snapshot(t, active))
	pool := signer.NewPool(signer.Config{Ring: ring, Concurrency: 1, Registerer: registry})
	broken = true
	for round := range 4 {
		if got := metric(t, registry, "playgate_signing_lanes_off"); got != min(1, float64(round/2)) {
			t.Errorf("after %d faults playgate_signing_lanes_off = %v", round, got)
		}
		token, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{})
		if err != nil {
			t.Fatal(err)
		}
		if verdict := signer.Verify(token.Reveal(), ring.PublicKeys("acme"), now); !verdict.Valid {
			t.Errorf("the token is not valid: %s", verdict.Detail)
		}
	}
	pool.Stop()
	if got := metric(t, registry, "playgate_signing_faults_total"); got != 2 {
		t.Errorf("playgate_signing_faults_total = %v, want 2", got)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 3 || strings.Count(log.String(), "switched the lanes off") != 1 {
		t.Errorf("the log has %d errors, want two faults and the end of lanes once:\n%s", n, log.String())
	}
}

// A panic while lanes are computed leaves no key behind in the scratch.
func TestAPanicWipesTheScratch(t *testing.T) {
	t.Parallel()
	const words = 200 * multibuffer.Lanes // of what a key brings, at the beginning
	var scratch []uint64
	zero := func() bool {
		return bytes.Count(unsafe.Slice((*byte)(unsafe.Pointer(&scratch[0])), 8*words), []byte{0}) == 8*words
	}
	backend := signer.NewLanes(goBackend(t), 1, func(batch *multibuffer.Batch) {
		scratch = unsafe.Slice((*uint64)(batch.Job().Scratch), words)
		if zero() {
			t.Error("there is no key in the scratch: this test looks at the wrong place")
		}
		panic("a bug")
	})
	handle, _ := load(t, backend, "rsa2048-1.pem")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not come through")
			}
		}()
		backend.Sign([]signer.Work{{Key: handle}})
	}()
	if !zero() {
		t.Error("the scratch was not wiped")
	}
}
