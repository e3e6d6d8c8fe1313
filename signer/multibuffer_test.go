package signer_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/signer/multibuffer"
)

// counted is a scalar backend that counts its signatures.
type counted struct {
	signer.Backend

	mu     sync.Mutex
	signed int
}

func (c *counted) Sign(work []signer.Work) {
	c.mu.Lock()
	c.signed += len(work)
	c.mu.Unlock()
	c.Backend.Sign(work)
}

func (c *counted) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.signed = 0 }()
	return c.signed
}

// works makes n pieces of work and their right signatures.
func works(t *testing.T, n int, handle signer.Handle, key *rsa.PrivateKey) (work []signer.Work, want [][]byte) {
	t.Helper()
	for i := range n {
		w := signer.Work{Key: handle, Digest: sha256.Sum256([]byte{byte(i)})}
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, w.Digest[:])
		if err != nil {
			t.Fatal(err)
		}
		work, want = append(work, w), append(want, signature)
	}
	return work, want
}

func mustBe(t *testing.T, work []signer.Work, want [][]byte) {
	t.Helper()
	for i, w := range work {
		if w.Err != nil || !bytes.Equal(w.Signature, want[i]) {
			t.Errorf("signature %d: %x, %v, want %x", i, w.Signature, w.Err, want[i])
		}
	}
}

func load(t *testing.T, b signer.Backend, file string) (signer.Handle, *rsa.PrivateKey) {
	t.Helper()
	key := testKey(t, file)
	handle, err := b.Load(key)
	if err != nil {
		t.Fatal(err)
	}
	return handle, key
}

// portable computes lanes without the assembly, so that these tests run everywhere.
func portable(batch *multibuffer.Batch) { batch.ComputePortable() }

func TestFewSignaturesAndOtherKeysAreNotForLanes(t *testing.T) {
	t.Parallel()
	scalar := &counted{Backend: goBackend(t)}
	backend := signer.NewLanes(scalar, 3, portable)
	handle, key := load(t, backend, "rsa2048-1.pem")
	for n, singly := range map[int]int{1: 1, 2: 2, 3: 0, 8: 0} {
		work, want := works(t, n, handle, key)
		backend.Sign(work)
		mustBe(t, work, want)
		if got := scalar.take(); got != singly {
			t.Errorf("of %d signatures %d were made one by one, want %d", n, got, singly)
		}
	}
	long, longKey := load(t, backend, "rsa3072.pem")
	work, want := works(t, 6, handle, key)
	for i := range 2 {
		other, signature := works(t, 1, long, longKey)
		work, want = append(work[:i*3:i*3], append(other, work[i*3:]...)...), append(want[:i*3:i*3], append(signature, want[i*3:]...)...)
	}
	backend.Sign(work)
	mustBe(t, work, want)
	if got := scalar.take(); got != 2 {
		t.Errorf("%d signatures were made one by one, want those with the long key", got)
	}
}

func TestAFaultIsHealedAndTheSecondIsTheLast(t *testing.T) {
	t.Parallel()
	scalar := &counted{Backend: goBackend(t)}
	computed := 0
	var key *multibuffer.Key
	backend := signer.NewLanes(scalar, 1, func(batch *multibuffer.Batch) {
		computed++
		portable(batch)
		batch.Set(5, key, &[sha256.Size]byte{}) // lane 5 was computed for another message
	})
	handle, private := load(t, backend, "rsa2048-1.pem")
	private.Precompute()
	key, err := multibuffer.NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for round := 1; round <= 3; round++ {
		work, want := works(t, 8, handle, private)
		backend.Sign(work)
		mustBe(t, work, want)
		singly := scalar.take()
		switch {
		case round <= 2 && (singly != 1 || !work[5].Healed || computed != round):
			t.Errorf("fault %d: %d signatures were made again, healed: %v", round, singly, work[5].Healed)
		case round == 3 && (singly != 8 || work[5].Healed || computed != 2):
			t.Errorf("after two faults %d of 8 signatures were made one by one, batches computed: %d", singly, computed)
		}
	}
}

// healing says of its first signature behind the self-check that it was healed.
type healing struct{ signer.Backend }

func (f healing) Sign(work []signer.Work) {
	f.Backend.Sign(work)
	for i := range work {
		work[i].Healed = work[i].Digest != sha256.Sum256([]byte("playgate: self-check of a signing key"))
	}
}

func TestAFaultIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	ring := signer.NewRing(signer.RingConfig{Backend: healing{goBackend(t)}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ring.Update(snapshot(t, active))
	pool := signer.NewPool(signer.Config{Ring: ring, Concurrency: 1, Registerer: registry})
	if _, err := pool.Sign(t.Context(), claims(t, ring), playback.Turn{}); err != nil {
		t.Fatal(err)
	}
	pool.Stop()
	if got := metric(t, registry, "playgate_signing_faults_total"); got != 1 {
		t.Errorf("playgate_signing_faults_total = %v, want 1", got)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "did not verify") {
		t.Errorf("the log says %q, want an error", log.String())
	}
}

// laned is a backend behind the tests' gate that wants batches.
type laned struct {
	*slow

	least int
}

func (l laned) Least() int { return l.least }

// Enough for a batch waits for more, but not for long; fewer do not wait.
func TestABatchLingersOnlyWhenItIsWorthIt(t *testing.T) {
	t.Parallel()
	const least = 3
	for _, test := range []struct {
		name           string
		waiting, later int
		atOnce, after  []int // batches when the worker comes, and 150 µs later
	}{
		{"one is signed at once", 1, 1, []int{1}, []int{1}},
		{"two are signed at once", 2, 0, []int{2}, []int{2}},
		{"enough wait for more", least, 2, nil, []int{5}},
		{"enough wait, but not for ever", least, 0, nil, []int{3}},
		{"enough wait until the batch is full", 6, 2, nil, []int{8}},
		{"a full batch does not wait", 8, 1, []int{8}, []int{8}},
		{"more than a batch", 11, 0, []int{8}, []int{8}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorkshopOver(t, func(s *slow) signer.Backend { s.batch = 8; return laned{s, least} }, 64)
				gate := w.backend.shut()
				w.sign(t.Context(), playback.Turn{}) // keeps the worker
				for range test.waiting {
					w.sign(t.Context(), playback.Turn{})
				}
				w.backend.forget()
				next := w.backend.shut()
				close(gate)
				synctest.Wait()
				if diff := cmp.Diff(test.atOnce, w.backend.signed()); diff != "" {
					t.Errorf("at once: (-want +got)\n%s", diff)
				}
				time.Sleep(100 * time.Microsecond)
				for range test.later {
					w.sign(t.Context(), playback.Turn{})
				}
				time.Sleep(51 * time.Microsecond)
				synctest.Wait()
				if diff := cmp.Diff(test.after, w.backend.signed()); diff != "" {
					t.Errorf("150 µs later: (-want +got)\n%s", diff)
				}
				close(next)
				w.stop()
			})
		})
	}
}

// A request does not wait for a batch of refresh-ahead to become full.
func TestARequestOvertakesALingeringBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshopOver(t, func(s *slow) signer.Backend { s.batch = 8; return laned{s, 3} }, 64)
		gate := w.backend.shut()
		w.sign(t.Context(), playback.Turn{}) // keeps the worker
		for range 4 {
			w.sign(t.Context(), playback.Turn{Ahead: true})
		}
		next := w.backend.shut()
		close(gate)
		synctest.Wait()
		w.backend.forget()
		w.sign(t.Context(), playback.Turn{})
		if diff := cmp.Diff([]int{1}, w.backend.signed()); diff != "" {
			t.Errorf("at once: (-want +got)\n%s", diff)
		}
		close(next)
		w.stop()
	})
}

func TestWithoutTheInstructionsAnotherBackendSigns(t *testing.T) {
	t.Parallel()
	if os.Getenv("PLAYGATE_TEST_NO_IFMA") != "" {
		if _, err := signer.OpenBackend(signer.BackendMultibuffer, nil); err == nil || !strings.Contains(err.Error(), "AVX-512 IFMA") {
			t.Errorf("OpenBackend(multibuffer) = %v, want an error that names the instructions", err)
		}
		if backend, err := signer.OpenBackend(signer.BackendAuto, nil); err != nil || backend.Name() == signer.BackendMultibuffer {
			t.Errorf("OpenBackend(auto) = %v, %v, want another", backend, err)
		}
		return
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWithoutTheInstructionsAnotherBackendSigns$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG=cpu.avx512f=off", "PLAYGATE_TEST_NO_IFMA=1")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("with the instructions masked: %v\n%s", err, out)
	}
}
