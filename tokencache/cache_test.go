package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

func TestATokenIsSignedOnceAndRemembered(t *testing.T) {
	t.Parallel()
	m, registry := &mint{}, prometheus.NewRegistry()
	c := tokencache.New(tokencache.Config{Signer: m, Registerer: registry})
	t.Cleanup(c.Stop)
	for i, want := range []bool{false, true, true} {
		if hit := ask(t, c, "PID1", 900); hit != want {
			t.Errorf("request %d: hit is %v, want %v", i, hit, want)
		}
	}
	ask(t, c, "PID2", 900)
	if got := len(m.signed()); got != 2 {
		t.Errorf("%d signatures, want 2", got)
	}
	for result, want := range map[string]float64{"hit": 2, "miss": 2, "coalesced": 0} {
		if got := metric(t, registry, "playgate_token_cache_total", result); got != want {
			t.Errorf("counted %v of %s, want %v", got, result, want)
		}
	}
	if got := metric(t, registry, "playgate_token_cache_entries", ""); got != 2 {
		t.Errorf("%v entries, want 2", got)
	}
	if got := metric(t, registry, "playgate_token_cache_bytes", ""); got < 2*(200+64) {
		t.Errorf("%v bytes, want more", got)
	}
}

func TestATokenIsGoneTheMomentItExpires(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	m, registry := &mint{}, prometheus.NewRegistry()
	c := tokencache.New(tokencache.Config{Signer: m, Registerer: registry, Now: func() time.Time { return time.Unix(0, clock.Load()) }})
	t.Cleanup(c.Stop)
	claims, life := claimsOf("PID1", 900, time.Unix(1_800_000_000, 0))
	for _, test := range []struct {
		at   time.Time
		want bool
	}{
		{time.Unix(1_800_000_000, 0), false},
		{time.Unix(claims.Exp, -1), true},
		{time.Unix(claims.Exp, 0), false},
		{time.Unix(claims.Exp, 0), false}, // what has expired is not remembered
	} {
		clock.Store(test.at.UnixNano())
		_, hit, err := c.Token(t.Context(), claims, life, playback.Turn{})
		if err != nil || hit != test.want {
			t.Errorf("%v before exp: hit is %v, %v, want %v", time.Unix(claims.Exp, 0).Sub(test.at), hit, err, test.want)
		}
	}
	if got := metric(t, registry, "playgate_token_cache_entries", ""); got != 0 {
		t.Errorf("%v entries, want none", got)
	}
}

func TestTheCacheIsBoundedByEntriesAndBytes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		config  tokencache.Config
		entries float64
		bytes   float64
	}{
		{"entries", tokencache.Config{MaxEntries: 1000}, 1000, tokencache.DefaultMaxBytes},
		{"few entries", tokencache.Config{MaxEntries: 3}, 3, tokencache.DefaultMaxBytes},
		{"one entry", tokencache.Config{MaxEntries: 1}, 1, tokencache.DefaultMaxBytes},
		{"bytes", tokencache.Config{MaxBytes: 256 << 10}, tokencache.DefaultMaxEntries, 256 << 10},
		{"few bytes", tokencache.Config{MaxBytes: 1 << 10}, tokencache.DefaultMaxEntries, 1 << 10},
		{"fewer than a token has", tokencache.Config{MaxBytes: 10}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			test.config.Signer, test.config.Registerer = &mint{}, registry
			c := tokencache.New(test.config)
			c.Start()
			t.Cleanup(c.Stop)
			for i := range 3000 {
				sub := fmt.Sprintf("PID%d", i)
				ask(t, c, sub, 900)
				if i%3 == 0 {
					ask(t, c, sub, 900) // in use: a plan takes room, too
				}
				if i%100 != 0 {
					continue
				}
				if got := metric(t, registry, "playgate_token_cache_entries", ""); got > test.entries {
					t.Fatalf("%v entries, want at most %v", got, test.entries)
				}
				if got := metric(t, registry, "playgate_token_cache_bytes", ""); got > test.bytes {
					t.Fatalf("%v bytes, want at most %v", got, test.bytes)
				}
			}
			got := metric(t, registry, "playgate_token_cache_entries", "")
			if room := min(test.entries, test.bytes/1000); got < room/2 {
				t.Errorf("%v entries, want more: there is room for %v", got, room)
			}
		})
	}
}

func TestTheLeastRecentlyUsedTokenGoesFirst(t *testing.T) {
	t.Parallel()
	c := tokencache.New(tokencache.Config{Signer: &mint{}, MaxEntries: 3}) // so few have one shard
	t.Cleanup(c.Stop)
	for _, sub := range []string{"A", "B", "C", "A", "D"} {
		ask(t, c, sub, 900)
	}
	for _, test := range []struct {
		sub  string
		want bool
	}{{"A", true}, {"C", true}, {"D", true}, {"B", false}} {
		if hit := ask(t, c, test.sub, 900); hit != test.want {
			t.Errorf("%s: hit is %v, want %v", test.sub, hit, test.want)
		}
	}
}

// TestBytesAreCountedHonestly compares with what the heap really grows by.
func TestBytesAreCountedHonestly(t *testing.T) {
	const entries = 40_000
	for name, used := range map[string]bool{"signed once": false, "in use": true} {
		registry := prometheus.NewRegistry()
		c := tokencache.New(tokencache.Config{Signer: &wide{}, MaxEntries: 4 * entries, MaxBytes: 1 << 30, Registerer: registry})
		c.Start()
		before := heap()
		for i := range entries {
			claims, life := claimsOf(fmt.Sprintf("DS00Spx1CV902MCtPj5WknGlR102V5HFkDe%d", i), 900, time.Now())
			for range 1 + map[bool]int{true: 1}[used] {
				if _, _, err := c.Token(t.Context(), claims, life, playback.Turn{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		grown := float64(heap() - before)
		counted := metric(t, registry, "playgate_token_cache_bytes", "")
		t.Logf("%s: the heap grew by %.0f bytes an entry, counted are %.0f", name, grown/entries, counted/entries)
		if ratio := counted / grown; ratio < 0.85 || ratio > 1.25 {
			t.Errorf("%s: counted %.0f bytes, the heap grew by %.0f", name, counted, grown)
		}
		c.Stop()
		runtime.KeepAlive(c)
	}
}

// wide makes tokens as long as Mux's.
type wide struct{ mint }

func (*wide) Start(*playback.Claims, playback.Turn) (playback.Signing, bool) { return nil, false }

func (*wide) Sign(context.Context, *playback.Claims, playback.Turn) (playback.Token, error) {
	return playback.NewToken(strings.Repeat("x", 560)), nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestAHitAllocatesNothing(t *testing.T) {
	c := tokencache.New(tokencache.Config{Signer: &mint{}})
	c.Start()
	t.Cleanup(c.Stop)
	claims, life := claimsOf("PID1", 900, time.Now())
	ctx := t.Context()
	for range 2 { // a miss, and the hit that plans its refresh
		if _, _, err := c.Token(ctx, claims, life, playback.Turn{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, hit, err := c.Token(ctx, claims, life, playback.Turn{Caller: "u1"}); !hit || err != nil {
			t.Error(hit, err)
		}
	}); n != 0 {
		t.Errorf("a hit allocates %v times, want 0", n)
	}
}

// TestEverybodyGetsTheTokenOfTheirOwnClaims runs a cache that is far too small
// under many callers, who come and go, and a signer that fails and panics.
func TestEverybodyGetsTheTokenOfTheirOwnClaims(t *testing.T) {
	t.Parallel()
	m := &mint{sign: func(ctx context.Context, _ *playback.Claims, turn playback.Turn) error {
		runtime.Gosched()
		switch rand.N(12) {
		case 0:
			return playback.Errorf(playback.CodeSigningOverloaded, "full").Because(ownError{})
		case 1:
			return playback.Errorf(playback.CodeSigningOverloaded, "full")
		case 2:
			panic("a bug in the signer")
		case 3:
			<-ctx.Done()
			return ctx.Err()
		}
		if turn.Ahead {
			return errors.New("no luck")
		}
		return nil
	}}
	c := tokencache.New(tokencache.Config{Signer: m, MaxEntries: 20})
	c.Start()
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			turn := playback.Turn{Caller: fmt.Sprint("u", i%5), Patient: i%4 == 0}
			for n := range 300 {
				claims, life := claimsOf(fmt.Sprint("PID", (n*i)%40), 1+int64(n%9), time.Now())
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				token, _, err := c.Token(ctx, claims, life, turn)
				cancel()
				if err == nil && token != tokenOf(claims) {
					t.Error("somebody got the token of other claims")
				}
				if err != nil && token.Len() != 0 {
					t.Error("a token came with an error")
				}
			}
		})
	}
	callers.Wait()
	c.Stop()
}

func BenchmarkHit(b *testing.B) {
	c := tokencache.New(tokencache.Config{Signer: &mint{}})
	c.Start()
	defer c.Stop()
	type question struct {
		claims *playback.Claims
		life   playback.Lifetime
	}
	var questions [1024]question
	for i := range questions {
		claims, life := claimsOf(fmt.Sprintf("DS00Spx1CV902MCtPj5WknGlR102V5HFkDe%d", i), 86400, time.Now())
		questions[i] = question{claims, life}
	}
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			q := &questions[i%len(questions)]
			if _, _, err := c.Token(ctx, q.claims, q.life, playback.Turn{Caller: "u1"}); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestOnlyWhatIsRememberedIsGivenAtOnce(t *testing.T) {
	t.Parallel()
	m, registry := &mint{}, prometheus.NewRegistry()
	c := tokencache.New(tokencache.Config{Signer: m, Registerer: registry})
	t.Cleanup(c.Stop)
	now := time.Now()
	claims, life := claimsOf("PID1", 900, now)
	if token, ok := c.Remembered(claims, life, now); ok {
		t.Errorf("Remembered before anybody asked: %v", token)
	}
	if got := len(m.signed()); got != 0 {
		t.Fatalf("%d signatures for it", got)
	}
	ask(t, c, "PID1", 900)
	claims, life = claimsOf("PID1", 900, time.Now()) // it may have rolled over
	ask(t, c, "PID1", 900)
	for _, at := range []time.Time{time.Now(), {}} {
		if token, ok := c.Remembered(claims, life, at); !ok || token != tokenOf(claims) {
			t.Errorf("Remembered at %v: %v", at, ok)
		}
	}
	if token, ok := c.Remembered(claims, life, time.Unix(claims.Exp, 0)); ok {
		t.Errorf("Remembered when it has expired: %v", token)
	}
	if got := metric(t, registry, "playgate_token_cache_total", "hit"); got < 2 || got > 3 {
		t.Errorf("counted %v hits, want those of Remembered, too", got)
	}
}
