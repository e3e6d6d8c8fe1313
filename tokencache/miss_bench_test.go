package tokencache_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// free is a signer that costs nothing, so that what is measured is the cache.
type free struct{ mint }

func (*free) Sign(context.Context, *playback.Claims, playback.Turn) (playback.Token, error) {
	return playback.NewToken("token"), nil
}

// BenchmarkMiss is a miss without its signature.
func BenchmarkMiss(b *testing.B) {
	c := tokencache.New(tokencache.Config{Signer: &free{}, MaxEntries: 10_000})
	c.Start()
	defer c.Stop()
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		claims, life := claimsOf("PID", 86400, now)
		for i := 0; pb.Next(); i++ {
			claims.Custom = strconv.Itoa(i)
			if _, _, err := c.Token(b.Context(), claims, life, playback.Turn{Caller: "u1"}); err != nil {
				b.Error(err)
			}
		}
	})
}
