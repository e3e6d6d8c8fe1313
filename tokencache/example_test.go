package tokencache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

func Example() {
	cache := tokencache.New(tokencache.Config{Signer: &mint{}})
	cache.Start()
	defer cache.Stop()

	life := playback.Schedule("acme", "PID1", 900, time.Now())
	claims := &playback.Claims{Environment: "acme", Key: "K1", Kid: playback.KidClaim, Sub: "PID1", Aud: "v", Exp: life.Exp}
	for range 2 {
		token, hit, err := cache.Token(context.Background(), claims, life, playback.Turn{Caller: "u1"})
		fmt.Println(token, hit, err)
	}
	// Output:
	// [redacted] false <nil>
	// [redacted] true <nil>
}
