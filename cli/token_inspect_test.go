package cli_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/cli"
)

// inspect returns what token inspect says of a token with this header and these
// claims: one line each, by their names.
func inspect(t *testing.T, header, claims string) map[string]string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
	var out, errs strings.Builder
	if status := cli.Run(&cli.Process{Args: []string{"token", "inspect", token}, Stdout: &out, Stderr: &errs}); status != 0 || errs.Len() > 0 {
		t.Fatalf("%s: status %d, %s", claims, status, errs.String())
	}
	said := map[string]string{}
	for line := range strings.Lines(out.String()) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] = rest
	}
	return said
}

func TestTokenInspectReadsExpAsMuxDoes(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	for _, c := range []struct{ exp, want string }{
		{fmt.Sprint(now + 3*3600 + 59), "in 3h"},
		{fmt.Sprint(now + 5*86400 + 59), "in 5 days"},
		{fmt.Sprintf("%d.5", now+3*86400+59), "in 3 days"},
		{fmt.Sprint(now - 7*86400), "ago"},
		{"1700000000", "EXPIRED 2023-11-14T22:13:20Z"},
		{"0", "EXPIRED 1970-01-01T00:00:00Z"},
		{"4102444800", "expires 2100-01-01T00:00:00Z, in "},
		// A time.Duration ends after 292 years.
		{"20000000000", "expires 2603-10-11T11:33:20Z, in 5"},
		{"253402300799", "expires 9999-12-31T23:59:59Z, in 79"},
		{"253402300800", "expires after the year 9999, in 79"},
		{"1e300", "expires after the year 9999, in more than a million years"},
		{"-1", "NOT a time"},
		{"1795425054000", "NOT seconds, it seems: in milliseconds it is 2026-11-23T09:10:54Z; read as seconds, as Mux does, the token lives for 568"},
		{"1795425054123.5", "in milliseconds it is 2026-11-23T09:10:54Z"},
		{"1795425054000000", "in microseconds it is 2026-11-23T09:10:54Z"},
		{"1795425054000000000", "in nanoseconds it is 2026-11-23T09:10:54Z; read as seconds, as Mux does, the token lives for more than a million years"},
		{`"1795425054"`, "NOT a number"},
		{"null", "NOT a number"},
		{"1e999", "NOT a number"},
	} {
		said := inspect(t, `{"alg":"RS256","typ":"JWT"}`, `{"sub":"P1","aud":"v","kid":"K1","exp":`+c.exp+`}`)
		if !strings.Contains(said["exp"], c.want) || strings.Contains(said["exp"], "2562047h") || strings.Contains(said["exp"], "in -") {
			t.Errorf("exp %s: %q, want %q", c.exp, said["exp"], c.want)
		}
	}
}

func TestTokenInspectSaysWhichKeyIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, kid, want string }{
		{`{"alg":"RS256"}`, `,"kid":"K1"`, "the key is named by the claim kid"},
		{`{"alg":"RS256","kid":"K1"}`, ``, "signed with RS256, key K1"},
		{`{"alg":"RS256","kid":"K1"}`, `,"kid":"K1"`, "signed with RS256, key K1"},
		{`{"alg":"RS256","kid":"K1"}`, `,"kid":"K2"`, "the claim kid names ANOTHER one"},
		{`{"alg":"RS256"}`, ``, "NO key is named"},
		{`{"alg":"RS256","kid":""}`, ``, "NO key is named"},
		{`{"alg":"RS256"}`, `,"kid":7`, "NO key is named"},
		{`{"alg":"HS256","kid":"K1"}`, ``, "NOT RS256"},
	} {
		said := inspect(t, c.header, `{"sub":"P1","aud":"v","exp":1`+c.kid+`}`)
		if !strings.Contains(said["header"], c.want) {
			t.Errorf("%s %s: %q, want %q", c.header, c.kid, said["header"], c.want)
		}
	}
	if said := inspect(t, `{"alg":"RS256"}`, `{"kid":7}`); !strings.Contains(said["kid"], "NOT a key's ID") {
		t.Errorf("kid 7: %q", said["kid"])
	}
}

func TestTokenInspectNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	said := inspect(t, `{"alg":"RS256","kid":"K1"}`, `{"max_resolution":"720p"}`)
	for _, name := range []string{"sub", "aud", "exp"} {
		if !strings.Contains(said[name], "NOT there") {
			t.Errorf("%s: %q, want that it is missing", name, said[name])
		}
	}
	for name, value := range map[string]string{"sub": "null", "aud": `["v"]`, "exp": "{}"} {
		if said := inspect(t, `{"alg":"RS256","kid":"K1"}`, `{"`+name+`":`+value+`}`); !strings.Contains(said[name], "NOT a") {
			t.Errorf("%s %s: %q", name, value, said[name])
		}
	}
	if said := inspect(t, `{"alg":"RS256","typ":"JWT"}`, `{"kid":"K1","sub":"P1","aud":"v","exp":4102444800}`); strings.Contains(fmt.Sprint(said), "NOT") {
		t.Errorf("a token of the SDK: %v", said)
	}
}

// TestTokenInspectReadsEveryAudience: what sub names depends on aud (mux.md §1.3).
func TestTokenInspectReadsEveryAudience(t *testing.T) {
	t.Parallel()
	encode := base64.RawURLEncoding.EncodeToString
	for aud, want := range map[string][2]string{
		"v":              {"good for video", "the playback ID that it is for"},
		"d":              {"good for drm license", "the playback ID that it is for"},
		"playback_id":    {"good for stats", "the playback ID whose viewers are counted"},
		"asset_id":       {"good for stats asset", "the asset whose viewers are counted"},
		"live_stream_id": {"good for stats live stream", "the live stream whose viewers are counted"},
		"video_id":       {"good for stats video", "the Mux Data video ID whose viewers are counted"},
		"livestream_id":  {"an audience that Mux does not have", "the playback ID that it is for"},
	} {
		token := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode([]byte(`{"kid":"K1","sub":"film-1","aud":"`+aud+`","exp":4102444800}`)) + ".c2ln"
		var out, errs strings.Builder
		if status := cli.Run(&cli.Process{Args: []string{"token", "inspect", token}, Stdout: &out, Stderr: &errs}); status != 0 {
			t.Errorf("aud %s: status %d, %s", aud, status, errs.String())
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("aud %s: want %q in\n%s", aud, text, out.String())
			}
		}
	}
}

// TestTokenSignTakesAVideoIDForStatsVideoAlone: the grammars differ.
func TestTokenSignTakesAVideoIDForStatsVideoAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, id, want string }{
		{"stats_video", "film 1", "is not a video ID"},
		{"stats_video", strings.Repeat("v", 256), "is not a video ID"},
		{"stats_video", "film/1", "none"}, // the configuration's turn
		{"stats", "film/1", "is not a playback ID"},
		{"video", "film/1", "is not a playback ID"},
	} {
		var out, errs strings.Builder
		status := cli.Run(&cli.Process{
			Args:   []string{"token", "sign", c.id, "--config", "none", "--environment", "e", "--type", c.kind},
			Stdout: &out, Stderr: &errs,
		})
		if status != 1 || out.Len() > 0 || !strings.Contains(errs.String(), c.want) || c.want == "none" && strings.Contains(errs.String(), "ID: want") {
			t.Errorf("%s of %.20s: status %d, %q, %q, want %q", c.kind, c.id, status, out.String(), errs.String(), c.want)
		}
	}
}
