package tokencache_test

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/collector"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// heavy makes tokens as long as Mux's: 598 bytes with one parameter, 671 with a
// pseudonym, too.
type heavy struct{ mint }

func (*heavy) Start(*playback.Claims, playback.Turn) (playback.Signing, bool) { return nil, false }

func (*heavy) Sign(_ context.Context, c *playback.Claims, _ playback.Turn) (playback.Token, error) {
	if c.Custom != "" {
		return playback.NewToken(strings.Repeat("x", 671)), nil
	}
	return playback.NewToken(strings.Repeat("x", 598)), nil
}

// heavyClaims returns the claims of the i-th token, as long as real ones.
func heavyClaims(i int, now time.Time) (*playback.Claims, playback.Lifetime) {
	c, life := claimsOf(fmt.Sprintf("DS00Spx1CV902MCtPj5WknGlR102V5HFkDe0%08d", i), 86400, now)
	c.Key = "DuUV01gWC02qMFWSmlHIgoVv02hhUP1FsEt3X00z4QtyY9w"
	c.Params = playback.Params{{Name: "max_resolution", JSON: `"2160p"`}}
	if i%2 == 1 {
		c.Custom = `{"viewer":"0123456789abcdef0123456789abcdef"}`
	}
	return c, life
}

// fill remembers tokens, all of them in use.
func fill(tb testing.TB, c *tokencache.Cache, tokens int) {
	tb.Helper()
	now := time.Now()
	for i := range tokens {
		claims, life := heavyClaims(i, now)
		for range 2 {
			if _, _, err := c.Token(tb.Context(), claims, life, playback.Turn{}); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

func TestATokenInUseTakesLittleMoreThanItself(t *testing.T) {
	const tokens, most = 40_000, 950 // bytes
	c := tokencache.New(tokencache.Config{Signer: &heavy{}, MaxEntries: 2 * tokens, MaxBytes: 1 << 30})
	c.Start()
	t.Cleanup(c.Stop)
	before := heap()
	fill(t, c, tokens)
	if got := (heap() - before) / tokens; got > most {
		t.Errorf("a token of 634 bytes takes %d, want at most %d", got, most)
	}
}

// BenchmarkMillionTokens fills a cache with a million tokens, all of them in
// use, and reports what the process takes; then what a collection costs.
func BenchmarkMillionTokens(b *testing.B) {
	const tokens = 1_000_000
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for range b.N {
		c := tokencache.New(tokencache.Config{Signer: &heavy{}, MaxEntries: tokens * 21 / 20, MaxBytes: 2 << 30})
		c.Start()
		const step = 50_000
		now := time.Now()
		for i := range tokens {
			claims, life := heavyClaims(i, now)
			for range 2 {
				if _, _, err := c.Token(b.Context(), claims, life, playback.Turn{}); err != nil {
					b.Fatal(err)
				}
			}
			if i%step == 0 {
				debug.SetGCPercent(collector.GCPercent(collector.Live())) // as package app does
			}
		}
		debug.SetGCPercent(collector.GCPercent(collector.Live()))
		b.ReportMetric(float64(resident(b))/1e6, "RSS-MB")
		b.ReportMetric(float64(peak(b))/1e6, "peak-MB")
		began := time.Now()
		heap() // two collections
		b.ReportMetric(time.Since(began).Seconds()*1e3/2, "ms/GC")
		c.Stop()
	}
}

func resident(b *testing.B) int64 { return status(b, "VmRSS:") }
func peak(b *testing.B) int64     { return status(b, "VmHWM:") }

// status reads a line of /proc/self/status, in bytes.
func status(b *testing.B, name string) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc on this system") // it measures; it asserts nothing
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	b.Fatalf("no %s in /proc/self/status", name)
	return 0
}
