package scenario

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
	"github.com/playgate/playgate/collector"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/tokencache"
)

// maxMillion is what a million cached tokens may take, resident.
const maxMillion = 1_300_000_000

// million fills a cache with tokens and looks at the memory. With OverTCP that
// is the gateway's, which has to sign them all; else it is a process of its own
// with the real cache and a signer that only imitates signatures.
func (b *Bench) million(ctx context.Context, out *report.Scenario) error {
	if b.config.Size.OverTCP {
		return b.millionServed(ctx, out)
	}
	out.What = fmt.Sprintf("%d real claims, encoded as signed, in the real cache of a process of its own, all in use; the signatures are random bytes, and the gateway's other memory is not included", b.config.Size.Cached)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	text, err := exec.CommandContext(ctx, self, "fill", strconv.Itoa(b.config.Size.Cached)).Output() //nolint:gosec // ourselves
	if err != nil {
		return fmt.Errorf("filling a cache: %w", err)
	}
	var filled Filled
	if err := json.Unmarshal(text, &filled); err != nil {
		return fmt.Errorf("reading what filling a cache gave: %w", err)
	}
	fmt.Fprintf(b.config.Log, "  %d tokens of %d bytes: %d bytes resident\n", filled.Tokens, filled.Length, filled.RSS)
	out.Checks = append(out.Checks, millionCheck(filled.Tokens, filled.RSS))
	return nil
}

func millionCheck(tokens int, rss int64) report.Check {
	bound := int64(maxMillion) * int64(tokens) / 1_000_000
	return report.Check{
		Name: fmt.Sprintf("%d cached tokens: resident memory", tokens), Value: fmt.Sprintf("%.2f GB", float64(rss)/1e9),
		Bound: fmt.Sprintf("≤ %.2f GB", float64(bound)/1e9), OK: rss <= bound,
	}
}

// millionServed asks a gateway for the tokens, three a request.
func (b *Bench) millionServed(ctx context.Context, out *report.Scenario) (err error) {
	out.What = fmt.Sprintf("%d tokens asked for in bundles of three, each twice, and kept by the gateway", b.config.Size.Cached)
	// Long-lived ones, so that few roll over while a million is signed.
	r, err := b.start(ctx, out, world.Config{TTL: 19 * time.Hour, MaxEntries: b.config.Size.Cached + b.config.Size.Cached/5})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	ids := b.config.Size.Cached / len([]string{"video", "thumbnail", "storyboard"})
	config := load.Config{
		Source: load.Each(load.Bundle, 0, ids, len(b.viewers)), Requests: uint64(ids), Length: time.Hour, Connections: 64, //nolint:gosec // positive
	}
	if _, err := r.measure(ctx, "a million tokens, signed", config); err != nil {
		return err
	}
	m, err := r.measure(ctx, "a million tokens, again", config)
	if err != nil {
		return err
	}
	metrics, err := r.Metrics(ctx)
	if err != nil {
		return err
	}
	out.Checks = append(out.Checks, millionCheck(int(metrics.Sum("playgate_token_cache_entries")), m.Server.RSS))
	return nil
}

// Filled is what Fill did.
type Filled struct {
	Tokens int   `json:"tokens"`
	Length int   `json:"token_bytes"` // of one token
	RSS    int64 `json:"rss_bytes"`
}

// Fill puts tokens into a cache of this process, takes each out once, as they
// would be in use, and reads the process's resident memory. It changes the
// collector's settings as the gateway does.
func Fill(ctx context.Context, tokens int) (Filled, error) {
	cache := tokencache.New(tokencache.Config{Signer: imitation{}, MaxEntries: tokens + tokens/5, MaxBytes: 4 << 30})
	cache.Start()
	defer cache.Stop()
	var length int
	for n := range tokens {
		id := playback.ID(load.PlaybackID(uint32(n)) + "DS00Spx1CV902MCtPj5WknGlR102V5HF") // as long as Mux's
		life := playback.Schedule(world.Environment, id, 86400, time.Now())
		claims := playback.Claims{
			Environment: world.Environment, Key: "DuUV01gWC02qMFWSmlHIgoVv02hhUP1FsEt3X00z4QtyY9w", Kid: playback.KidClaim, Sub: string(id), Aud: "v", Exp: life.Exp,
			Params: playback.Params{{Name: "max_resolution", JSON: `"2160p"`}},
		}
		for range 2 {
			token, _, err := cache.Token(ctx, &claims, life, playback.Turn{})
			if err != nil {
				return Filled{}, fmt.Errorf("filling the cache: %w", err)
			}
			length = len(token.Reveal())
		}
		if n%10_000 == 0 {
			debug.SetGCPercent(collector.GCPercent(collector.Live()))
		}
	}
	usage, err := world.UsageOf(os.Getpid())
	return Filled{tokens, length, usage.RSS}, err
}

// imitation makes tokens of real claims with a signature that is none.
type imitation struct{}

// Start leaves it to Sign.
func (imitation) Start(*playback.Claims, playback.Turn) (playback.Signing, bool) { return nil, false }

func (imitation) Sign(_ context.Context, c *playback.Claims, _ playback.Turn) (playback.Token, error) {
	encoded, err := signer.Encode(nil, c)
	if err != nil {
		return playback.Token{}, fmt.Errorf("encoding claims: %w", err)
	}
	var signature [256]byte

	if _, err := rand.Read(signature[:]); err != nil {
		return playback.Token{}, fmt.Errorf("imitating a signature: %w", err)
	}
	return playback.NewToken(string(encoded) + "." + base64.RawURLEncoding.EncodeToString(signature[:])), nil
}

func (imitation) RetryAfter() time.Duration { return time.Second }

func (imitation) Cost() time.Duration { return 0 }
func (imitation) Pace() time.Duration { return 0 }

func (imitation) Claims(token playback.Token) (playback.Claims, error) {
	return (*signer.Pool)(nil).Claims(token)
}
