package identity_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/identity"
)

// TestRememberedAllocatesNothing: the hot path of every request of a viewer.
func TestRememberedAllocatesNothing(t *testing.T) {
	p := provider(t, noon)
	v := atNoon(t, p)
	raw := sign(t, p, nil)
	mustVerify(t, v, raw, prod)
	if n := testing.AllocsPerRun(1000, func() { v.Remembered(raw, prod, time.Time{}) }); n != 0 {
		t.Errorf("Remembered allocates %v times, want 0", n)
	}
}

func BenchmarkRemembered(b *testing.B) {
	p := provider(b, noon, "EdDSA")
	v := atNoon(b, p)
	tokens := make([]string, 1024)
	for n := range tokens {
		tokens[n] = sign(b, p, map[string]any{"sub": fmt.Sprint("u", n), "plan": "premium", "groups": []string{"a", "b", "c"}})
		mustVerify(b, v, tokens[n], prod)
	}
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(tokens[0])))
		var worker atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for n := int(worker.Add(1)) * 257; pb.Next(); n++ {
				if _, ok := v.Remembered(tokens[n%len(tokens)], prod, time.Time{}); !ok {
					b.Error("not remembered")
				}
			}
		})
	})
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		unknown := tokens[0] + "x"
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				v.Remembered(unknown, prod, time.Time{})
			}
		})
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		p := provider(b, noon, algorithm)
		v := atNoon(b, p)
		raw := sign(b, p, map[string]any{"plan": "premium", "groups": []string{"a", "b", "c"}})
		b.Run(algorithm, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					claim, _ := v.Inspect(raw)
					if _, err := v.Verify(raw, claim, prod); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkInspect(b *testing.B) {
	p := provider(b, noon)
	v := identity.New(identity.Config{Now: noon})
	raw := sign(b, p, map[string]any{"plan": "premium", "groups": []string{"a", "b", "c"}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Inspect(raw); err != nil {
			b.Fatal(err)
		}
	}
}
