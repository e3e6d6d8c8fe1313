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
	for _, callers := range []int{1, 8, 64} {
		for name, sign := range map[string]func(context.Context, int64) error{
			"direct": direct,
			"pool": func(ctx context.Context, n int64) error {
				_, err := pool.Sign(ctx, &playback.Claims{
					Environment: acme, Key: id, Thumbprint: thumbprint, Kid: playback.KidClaim, Sub: "PID1", Aud: "v", Exp: 1_900_000_000 + n,
				}, playback.Turn{})
				return err
			},
		} {
			b.Run(fmt.Sprintf("%s-%d", name, callers), func(b *testing.B) { measure(b, callers, sign) })
		}
	}
}

// measure calls sign b.N times from so many callers.
func measure(b *testing.B, callers int, sign func(context.Context, int64) error) {
	b.Helper()
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for range callers {
		running.Go(func() {
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				begun := time.Now()
				if err := sign(b.Context(), n); err != nil {
					b.Error(err)
					return
				}
				took[n] = time.Since(begun)
			}
		})
	}
	running.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
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
