package cli_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/playgate/playgate/cli"
)

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
