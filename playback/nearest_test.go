package playback_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"playback_id", "asset_id", "live_stream_id", "types", "params", "gif", "video", "min_ttl"}
	for written, want := range map[string]string{
		"playback_di": "playback_id", "playbackId": "playback_id", "PLAYBACK_ID": "playback_id", "playback-id": "playback_id",
		"aset_id": "asset_id", "type": "types", "tyeps": "types", "vidio": "video", "min_tl": "min_ttl",
		"gfi": "gif", "g": "", "x": "", "": "", "viewer": "", "something_else": "",
		strings.Repeat("playback_id", 6): "",
	} {
		if got := playback.Nearest(written, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", written, got, want)
		}
	}
	if got := playback.DidYouMean("vidio", words); got != "; did you mean video?" {
		t.Errorf("DidYouMean = %q", got)
	}
	if got := playback.DidYouMean("nothing like it", words); got != "" {
		t.Errorf("DidYouMean = %q", got)
	}
}

// BenchmarkNearest is what the worst name of a stranger's costs.
func BenchmarkNearest(b *testing.B) {
	words, written := playback.ParamNames(playback.Video), strings.Repeat("a", 64)
	for b.Loop() {
		playback.Nearest(written, words)
	}
}
