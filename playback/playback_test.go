package playback_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 255)
	for _, c := range []struct {
		name string
		got  bool
		want bool
	}{
		{"playback ID", playback.ID("Abc123").Valid(), true},
		{"255 characters", playback.ID(long).Valid(), true},
		{"256 characters", playback.ID(long + "a").Valid(), false},
		{"empty", playback.ID("").Valid(), false},
		{"path", playback.ID("a/../b").Valid(), false},
		{"escaped", playback.ID("%2e%2e").Valid(), false},
		{"underscore", playback.ID("a_b").Valid(), false},
		{"newline", playback.ID("a\n").Valid(), false},
		{"letter of another script", playback.ID("а").Valid(), false},
		{"key ID", playback.KeyID("K_1-a").Valid(), true},
		{"key ID of 129", playback.KeyID(strings.Repeat("k", 129)).Valid(), false},
		{"key ID with a slash", playback.KeyID("a/b").Valid(), false},
		{"environment", playback.EnvironmentID("acme-prod").Valid(), true},
		{"environment of 63", playback.EnvironmentID(strings.Repeat("e", 63)).Valid(), true},
		{"environment of 64", playback.EnvironmentID(strings.Repeat("e", 64)).Valid(), false},
		{"upper case environment", playback.EnvironmentID("Acme").Valid(), false},
		{"leading hyphen", playback.EnvironmentID("-acme").Valid(), false},
		{"session", playback.SessionID("s_1-").Valid(), true},
		{"session of 65", playback.SessionID(strings.Repeat("s", 65)).Valid(), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: Valid = %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "90s": 90 * time.Second, "15m": 15 * time.Minute, "1h": time.Hour, "7d": 7 * 24 * time.Hour,
	} {
		if got, err := playback.ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "s", "-1", "-1h", "+1", "1.5h", "1h30m", "500ms", "1y", "1 h", "2 days", "99999999999999999999", "9999999999d", "1e3", "٣"} {
		if got, err := playback.ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, got)
		}
	}
}

// TestLifetime holds the promises of contract §4 for many lifetimes and moments.
// TestDurationsAreWrittenForPeople: without the parts that are zero.
func TestDurationsAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 250 * time.Millisecond: "250ms", time.Second: "1s", 90 * time.Second: "90s", 119*time.Second + time.Millisecond: "119s", 2 * time.Minute: "2m",
		150 * time.Second: "2m30s", time.Hour: "1h", time.Hour + 5*time.Second: "1h5s", 69120 * time.Second: "19h12m", 24 * time.Hour: "24h", 48 * time.Hour: "2d",
		25 * time.Hour: "25h", 7 * 24 * time.Hour: "7d", 7*24*time.Hour + time.Minute: "168h1m", -90 * time.Minute: "-1h30m", math.MinInt64: "-36500d",
	} {
		if got := playback.FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 keys", 1: "1 key", 2: "2 keys"} {
		if got := playback.Count(n, "key", "keys"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		maxTTL := time.Duration(1+random.IntN(200_000)) * time.Second
		ttl := time.Duration(1+random.IntN(200_000)) * time.Second
		duration := random.Float64() * 50_000
		l := playback.Term(ttl, random.IntN(2) == 0, duration, maxTTL)
		if l < 1 || l > max(1, int64(maxTTL/time.Second)*8/10) {
			t.Fatalf("Term = %d with max_ttl %v", l, maxTTL)
		}
		now := time.Unix(1_800_000_000+random.Int64N(1e6), random.Int64N(2)*random.Int64N(1e9))
		id := playback.ID(fmt.Sprintf("P%d", random.IntN(1000)))
		life := playback.Schedule("acme", id, l, now)
		lives := time.Unix(life.Exp, 0).Sub(now)
		if lives < time.Duration(l)*time.Second || lives >= time.Duration(l+life.G)*time.Second {
			t.Fatalf("L=%d G=%d: lives %v", l, life.G, lives)
		}
		if life.G != max(1, l/4) || lives > max(maxTTL, 2*time.Second) {
			t.Fatalf("L=%d: G=%d, lives %v of %v", l, life.G, lives, maxTTL)
		}
		next := playback.Schedule("acme", id, l, now.Add(time.Duration(random.Int64N(1000))*time.Second))
		if (next.Exp-life.Exp)%life.G != 0 {
			t.Fatalf("exps %d and %d are not on one grid of %d", life.Exp, next.Exp, life.G)
		}
		refresh := life.RefreshAt(0.25 + random.Float64()/4)
		later := playback.Schedule("acme", id, l, time.Unix(max(refresh, now.Unix()), 0))
		if refresh > now.Unix() && l >= 4 && later.Exp <= life.Exp {
			t.Fatalf("asking at refresh_at %d gets exp %d, not later than %d", refresh, later.Exp, life.Exp)
		}
	}
}

func TestTermCoversDuration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ttl      time.Duration
		cover    bool
		duration float64
		maxTTL   time.Duration
		want     int64
	}{
		{time.Hour, true, 120.5, 24 * time.Hour, 3721},
		{time.Hour, false, 120.5, 24 * time.Hour, 3600},
		{time.Hour, true, 0, 24 * time.Hour, 3600},
		{24 * time.Hour, true, 0, 24 * time.Hour, 69120},
		{time.Hour, true, 1e300, 24 * time.Hour, 69120},
		{time.Second, false, 0, time.Second, 1},
	} {
		if got := playback.Term(c.ttl, c.cover, c.duration, c.maxTTL); got != c.want {
			t.Errorf("Term(%v, %v, %v, %v) = %d, want %d", c.ttl, c.cover, c.duration, c.maxTTL, got, c.want)
		}
	}
}

func TestScheduleCutsAtAnAbsoluteEnd(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	life := playback.Schedule("acme", "P", 3600, now).CutAt(now.Unix() + 100)
	if !life.Cut || life.Exp != now.Unix()+100 {
		t.Errorf("Schedule = %+v, want exp exactly at the end", life)
	}
	if life := playback.Schedule("acme", "P", 3600, now).CutAt(now.Unix() + 10_000); life.Cut {
		t.Errorf("Schedule = %+v, want no cut by a later end", life)
	}
}

func TestPhaseSpreadsPlaybackIDs(t *testing.T) {
	t.Parallel()
	seen := map[int64]bool{}
	for n := range 1000 {
		life := playback.Schedule("acme", playback.ID(fmt.Sprintf("P%d", n)), 3600, time.Unix(1_800_000_000, 0))
		seen[life.Exp] = true
	}
	if len(seen) < 500 {
		t.Errorf("1000 playback IDs share %d moments of expiry", len(seen))
	}
}

func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	token, secret := playback.NewToken("eyJhbGciOi"), playback.NewSecret("eyJhbGciOi")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token, "secret", secret)
	encoded, err := json.Marshal(map[string]any{"a": token, "b": secret})
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(encoded) + fmt.Sprint(token, secret) + fmt.Sprintf("%v %+v %#v %s %q %v %s %#v", token, token, token, token, token, secret, secret, secret)
	if strings.Contains(all, "eyJ") {
		t.Errorf("a secret shows: %s", all)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	err := error(playback.Errorf(playback.CodeInvalidParam, "width: no").Because(cause).After(time.Second))
	if !errors.Is(err, playback.CodeInvalidParam) || !errors.Is(err, cause) || errors.Is(err, playback.CodeNotFound) {
		t.Errorf("%v does not unwrap to its code and its cause", err)
	}
	if denied := playback.Denied("not_released"); denied.Kind != playback.Forbidden || !errors.Is(denied, playback.Code("not_released")) {
		t.Errorf("Denied = %+v", denied)
	}
	for _, doc := range playback.Codes() {
		if got := playback.Errorf(doc.Code, "x").Kind; got != doc.Kind || doc.Meaning == "" {
			t.Errorf("%s: kind %s, want %s", doc.Code, got, doc.Kind)
		}
	}
}

func TestTokenTypes(t *testing.T) {
	t.Parallel()
	for name, aud := range map[string]string{
		"video": "v", "playback": "v", "thumbnail": "t", "gif": "g", "storyboard": "s", "drm_license": "d",
		"stats": "playback_id", "stats_asset": "asset_id", "stats_live_stream": "live_stream_id", "stats_video": "video_id",
	} {
		kind, ok := playback.ParseTokenType(name)
		if !ok || kind.Aud() != aud {
			t.Errorf("ParseTokenType(%q) = %s with aud %s, %v, want aud %s", name, kind, kind.Aud(), ok, aud)
		}
	}
	for _, name := range []string{"", "Video", "unknown", "drm"} {
		if kind, ok := playback.ParseTokenType(name); ok {
			t.Errorf("ParseTokenType(%q) = %s", name, kind)
		}
	}
}
