package multibuffer_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"testing"

	"github.com/playgate/playgate/signer/multibuffer"
)

// attempt is a batch of which the test knows what must come out.
type attempt struct {
	*multibuffer.Batch

	keys    [multibuffer.Lanes]testKey
	digests [multibuffer.Lanes][sha256.Size]byte
	set     [multibuffer.Lanes]bool
}

// newAttempt sets some of the lanes: all with one key, or each with its own.
func newAttempt(batch *multibuffer.Batch, all []testKey) *attempt {
	a := &attempt{Batch: batch}
	batch.Wipe()
	same, only := mathrand.IntN(2) == 0, mathrand.IntN(3) // of three batches, one has idle lanes
	for lane := range a.keys {
		a.keys[lane] = all[mathrand.IntN(len(all))]
		if same {
			a.keys[lane] = a.keys[0]
		}
		a.digests[lane] = sha256.Sum256([]byte{byte(mathrand.Uint32()), byte(lane)})
		if a.set[lane] = only > 0 || lane == 3 || mathrand.IntN(2) == 0; a.set[lane] {
			batch.Set(lane, a.keys[lane].lanes, &a.digests[lane])
		}
	}
	return a
}

// judge returns what a lane gave: nothing, the right signature, or a wrong one.
func (a *attempt) judge(lane int) (signature []byte, gave, right bool) {
	signature, err := a.Result(lane)
	if err != nil {
		return nil, false, errors.Is(err, multibuffer.ErrFault)
	}
	err = rsa.VerifyPKCS1v15(&a.keys[lane].private.PublicKey, crypto.SHA256, a.digests[lane][:], signature)
	return signature, true, err == nil && a.set[lane]
}

// tries is fewer where each takes long.
func tries(many, few int) int {
	if multibuffer.Supported() != nil || raceDetector {
		return few
	}
	return many
}

// moments are the steps before which faults come: what is read once is read at the
// beginning, between the two parts, or at the end.
func moments() []func() int {
	all, signing := multibuffer.Steps()
	return []func() int{
		func() int { return 0 },
		func() int { return mathrand.IntN(60) },
		func() int { return mathrand.IntN(signing) },
		func() int { return signing - mathrand.IntN(12) },
		func() int { return signing + mathrand.IntN(all-signing) },
		func() int { return all - mathrand.IntN(12) },
	}
}

// Bits that flip, anywhere and at any time until the check has read the signature,
// in one lane or in many, never make a wrong one leave; and they spoil no other
// lane.
func TestAFaultyLaneGivesNothing(t *testing.T) {
	t.Parallel()
	all, batch := testKeys(t), multibuffer.NewBatch()
	places := multibuffer.Places()
	caught, hits := 0, 0
	for _, name := range slices.Sorted(maps.Keys(places)) {
		for _, moment := range moments() {
			for range tries(20, 1) {
				a, before := newAttempt(batch, all), moment()
				if name == "result" && before >= multibuffer.ResultIsRead() {
					continue // TestAFaultBehindTheCheck
				}
				lanes := mathrand.IntN(1<<multibuffer.Lanes-1) + 1
				a.ComputeWithFault(before, func(scratch []uint64) { flip(scratch, places[name], lanes, 1+mathrand.IntN(3)) })
				for lane := range a.keys {
					_, gave, right := a.judge(lane)
					hit := lanes>>lane&1 == 1
					switch {
					case !right:
						t.Fatalf("%s hit before step %d: a wrong signature was given away in lane %d", name, before, lane)
					case !gave && a.set[lane] && !hit:
						t.Fatalf("%s hit before step %d in the lanes %08b: lane %d failed", name, before, lanes, lane)
					case hit && a.set[lane]:
						hits++
						if !gave {
							caught++
						}
					}
				}
			}
		}
	}
	t.Logf("%d of %d faults spoiled a signature, and were caught", caught, hits)
	if caught == 0 {
		t.Error("no fault was caught")
	}
}

// flip flips so many bits in each of the lanes.
func flip(scratch []uint64, at multibuffer.Vectors, lanes, bits int) {
	for lane := range multibuffer.Lanes {
		for range bits * (lanes >> lane & 1) {
			scratch[(at.First+mathrand.IntN(at.Number))*multibuffer.Lanes+lane] ^= 1 << mathrand.IntN(52)
		}
	}
}

// What flips in the signature when it has been checked cannot be caught. It leaves as
// the right signature with one wrong bit, which says nothing about the key.
func TestAFaultBehindTheCheckChangesThatBitAlone(t *testing.T) {
	t.Parallel()
	all, batch := testKeys(t), multibuffer.NewBatch()
	result, read := multibuffer.Places()["result"], multibuffer.ResultIsRead()
	steps, _ := multibuffer.Steps()
	for try := range tries(100, 2) {
		a := newAttempt(batch, all)
		digit, bit := mathrand.IntN(result.Number), mathrand.IntN(52)
		a.ComputeWithFault(read+try%(steps-read+1), func(scratch []uint64) {
			scratch[(result.First+digit)*multibuffer.Lanes+3] ^= 1 << bit
		})
		signature, gave, _ := a.judge(3)
		if !gave {
			continue // it is not below n any more
		}
		right, err := rsa.SignPKCS1v15(nil, a.keys[3].private, crypto.SHA256, a.digests[3][:])
		if err != nil {
			t.Fatal(err)
		}
		if at := 52*digit + bit; at < 2048 {
			right[len(right)-1-at/8] ^= 1 << (at % 8)
		}
		if !bytes.Equal(signature, right) {
			t.Errorf("digit %d, bit %d: more than that bit changed", digit, bit)
		}
	}
}

// A number that opens to the message but is not below n is no signature (RFC 8017
// §5.2.2), and may not fit.
func TestASignatureThatIsNotBelowNIsNotGivenAway(t *testing.T) {
	t.Parallel()
	all, batch := testKeys(t), multibuffer.NewBatch()
	_, signing := multibuffer.Steps()
	for range tries(20, 2) {
		a := newAttempt(batch, all)
		a.ComputeWithFault(signing, func([]uint64) { a.AddModulus(multibuffer.Places()["result"], 3) })
		if _, gave, _ := a.judge(3); gave {
			t.Error("s + n was given away")
		}
	}
}

// A step that is left out, computed twice or too early makes no wrong signature
// leave, although it is the same in all lanes.
func TestStepsThatAreLeftOutGiveNothing(t *testing.T) {
	t.Parallel()
	all, batch := testKeys(t), multibuffer.NewBatch()
	steps, signing := multibuffer.Steps()
	judge := func(a *attempt, what string, at int) {
		t.Helper()
		for lane := range a.keys {
			if _, _, right := a.judge(lane); !right {
				t.Fatalf("step %d %s: a wrong signature was given away", at, what)
			}
		}
	}
	for _, moment := range moments() {
		for range tries(30, 1) {
			at := min(moment(), steps-1)
			a := newAttempt(batch, all)
			a.ComputeSteps(0, at)
			a.ComputeSteps(at+1, steps)
			judge(a, "left out", at)
			a = newAttempt(batch, all)
			a.ComputeSteps(0, at+1)
			a.ComputeSteps(at, steps)
			judge(a, "computed twice", at)
		}
	}
	for _, part := range [][2]int{{0, 0}, {0, signing}, {signing, steps}, {signing - 1, steps}, {0, steps - 1}} {
		a := newAttempt(batch, all)
		a.ComputeSteps(part[0], part[1])
		for lane := range a.keys {
			if _, gave, _ := a.judge(lane); gave {
				t.Errorf("the steps from %d to %d alone give a signature", part[0], part[1])
			}
		}
	}
}

// What an earlier computation left is not the result of a later one.
func TestAnOldResultIsNotTakenForANewOne(t *testing.T) {
	t.Parallel()
	all, batch := testKeys(t), multibuffer.NewBatch()
	a := newAttempt(batch, all)
	a.ComputeSupported()
	other := sha256.Sum256([]byte("another message"))
	batch.Set(3, a.keys[3].lanes, &other)
	if _, err := batch.Result(3); !errors.Is(err, multibuffer.ErrFault) {
		t.Errorf("Result of a lane that was set again, before it is computed: %v, want ErrFault", err)
	}
	if batch.Wipe(); !batch.Empty() {
		t.Error("something is left in a wiped batch")
	}
	if _, err := batch.Result(3); !errors.Is(err, multibuffer.ErrFault) {
		t.Errorf("Result of a wiped lane: %v, want ErrFault", err)
	}
}
