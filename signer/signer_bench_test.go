package signer_test

import (
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

func BenchmarkEncode(b *testing.B) {
	c := &playback.Claims{
		Key: "K1", Kid: playback.KidClaim, Sub: "DS00Spx1CV902MCtPj5WknGlR102V5HFkDe", Aud: "v", Exp: 1800000900,
		Params: playback.Params{{Name: "asset_end_time", JSON: "60"}, {Name: "max_resolution", JSON: `"480p"`}},
	}
	buffer := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.Encode(buffer, c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBackend is a backend by itself, on every core.
func BenchmarkBackend(b *testing.B) {
	for name, backend := range backends(b) {
		for _, file := range []string{"rsa2048-1.pem", "rsa4096.pem"} {
			b.Run(name+"/"+file, func(b *testing.B) {
				handle, err := backend.Load(testKey(b, file))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					work := []signer.Work{{Key: handle}}
					for pb.Next() {
						if backend.Sign(work); work[0].Err != nil {
							b.Error(work[0].Err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkPool is the whole way from claims to a token, with enough callers
// to keep every worker busy.
func BenchmarkPool(b *testing.B) {
	for name, backend := range backends(b) {
		b.Run(name, func(b *testing.B) {
			ring := newRing(b, backend, record{"K1", "rsa2048-1.pem", keystore.Active})
			pool := signer.NewPool(signer.Config{Ring: ring})
			defer pool.Stop()
			c := claims(b, ring)
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := pool.Sign(b.Context(), c, playback.Turn{}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	ring := newRing(b, goBackend(b), active)
	pool := signer.NewPool(signer.Config{Ring: ring})
	defer pool.Stop()
	token, err := pool.Sign(b.Context(), claims(b, ring), playback.Turn{})
	if err != nil {
		b.Fatal(err)
	}
	keys := ring.PublicKeys("acme")
	b.ReportAllocs()
	for b.Loop() {
		if v := signer.Verify(token.Reveal(), keys, now); !v.Valid {
			b.Fatal(v.Detail)
		}
	}
}

// instant is a backend that costs nothing, so that what is measured is the pool.
type instant struct{ signer.Backend }

func (instant) Batch() int { return 8 }

func (instant) Sign(work []signer.Work) {
	for i := range work {
		work[i].Signature = make([]byte, 256)
	}
}

// BenchmarkPoolItself is a signature without the signature.
func BenchmarkPoolItself(b *testing.B) {
	for name, callers := range map[string]int{"one caller": 0, "32 callers": 16} {
		b.Run(name, func(b *testing.B) {
			backend := &swapped{Backend: goBackend(b)}
			ring := newRing(b, backend, record{"K1", "rsa2048-1.pem", keystore.Active})
			backend.Backend = instant{backend.Backend} // once the key has passed its self-check
			pool := signer.NewPool(signer.Config{Ring: ring})
			defer pool.Stop()
			c := claims(b, ring)
			b.ReportAllocs()
			if callers == 0 {
				for b.Loop() {
					if _, err := pool.Sign(b.Context(), c, playback.Turn{Caller: "u1"}); err != nil {
						b.Error(err)
					}
				}
				return
			}
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := pool.Sign(b.Context(), c, playback.Turn{Caller: "u1"}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// swapped is a backend that a test changes behind a ring's back.
type swapped struct{ signer.Backend }
