package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

// BenchmarkTransit compares tokens signed through the pool with Vault's
// transit/sign called directly, one digest a call, with as many callers.
func BenchmarkTransit(b *testing.B) {
	server := vaulttest.Dev(b)
	server.Transit("transit")
	source, err := vault.New(vault.Config{
		Address: server.Address, Mode: vault.TransitMode, Mount: "secret", Logger: slog.New(slog.DiscardHandler),
		Auth: vault.Auth{Method: vault.TokenMethod, TokenFile: server.File("root", server.RootToken)},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = source.Close() })
	key := keystore.NewKey{ID: "K1", PEM: keystoretest.PEM(b, 1), Life: keystore.Life{State: keystore.Active}}
	if err := source.Create(b.Context(), acme, key); err != nil {
		b.Fatal(err)
	}
	set, _, err := keystore.Load(b.Context(), source, acme)
	if err != nil {
		b.Fatal(err)
	}
	backend, err := signer.OpenBackend(signer.BackendGo, nil)
	if err != nil {
		b.Fatal(err)
	}
	ring := signer.NewRing(signer.RingConfig{Backend: backend})
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{acme: set}))
	pool := signer.NewPool(signer.Config{Ring: ring})
	b.Cleanup(pool.Stop)
	id, thumbprint, _ := ring.Active(acme)
	direct := directSigner(b, server)
	pooled := func(ctx context.Context, n int64) error {
		_, err := pool.Sign(ctx, &playback.Claims{
			Environment: acme, Key: id, Thumbprint: thumbprint, Kid: playback.KidClaim, Sub: "PID1", Aud: "v", Exp: 1_900_000_000 + n,
		}, playback.Turn{})
		return err
	}
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) { compare(b, callers, direct, pooled) })
	}
}

// compare has each of two signers sign b.N times, from so many callers. They
// take turns, a round at a time, so that what else runs on the machine is the
// same for both. The ratios are pool to direct.
func compare(b *testing.B, callers int, direct, pooled func(context.Context, int64) error) {
	b.Helper()
	round := 100 * callers
	var theirs, ours samples
	for done := 0; done < b.N; done += round {
		theirs.take(b, callers, min(round, b.N-done), direct)
		ours.take(b, callers, min(round, b.N-done), pooled)
	}
	b.ReportMetric(0, "ns/op") // of both together: nothing
	theirs.report(b, "direct")
	ours.report(b, "pool")
	b.ReportMetric(ours.rate()/theirs.rate(), "throughput-ratio")
	b.ReportMetric(float64(ours.quantile(0.99))/float64(theirs.quantile(0.99)), "p99-ratio")
}

// samples is how long signatures took, and all of them together.
type samples struct {
	took  []time.Duration
	spent time.Duration
}

// take signs many times from so many callers.
func (s *samples) take(b *testing.B, callers, many int, sign func(context.Context, int64) error) {
	b.Helper()
	took := make([]time.Duration, many)
	first := int64(len(s.took))
	var next atomic.Int64
	var running sync.WaitGroup
	begun := time.Now()
	for range callers {
		running.Go(func() {
			for n := next.Add(1) - 1; n < int64(many); n = next.Add(1) - 1 {
				begun := time.Now()
				if err := sign(b.Context(), first+n); err != nil {
					b.Error(err)
					return
				}
				took[n] = time.Since(begun)
			}
		})
	}
	running.Wait()
	s.spent += time.Since(begun)
	s.took = append(s.took, took...)
}

func (s *samples) rate() float64 { return float64(len(s.took)) / s.spent.Seconds() }

func (s *samples) quantile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(s.took))
	return sorted[int(q*float64(len(sorted)))]
}

func (s *samples) report(b *testing.B, who string) {
	b.Helper()
	b.ReportMetric(s.rate(), who+"-signatures/s")
	b.ReportMetric(float64(s.quantile(0.5).Microseconds()), who+"-µs-p50")
	b.ReportMetric(float64(s.quantile(0.99).Microseconds()), who+"-µs-p99")
}

func directSigner(b *testing.B, server *vaulttest.Server) func(context.Context, int64) error {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	return func(ctx context.Context, n int64) error {
		digest := sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
		body, err := json.Marshal(map[string]any{
			"input": digest[:], "prehashed": true, "hash_algorithm": "sha2-256", "signature_algorithm": "pkcs1v15", "marshaling_algorithm": "jws",
		})
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, server.Address+"/v1/transit/sign/acme.K1", bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("X-Vault-Token", server.RootToken)
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
}
