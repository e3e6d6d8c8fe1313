package playback_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
)

func TestParseParam(t *testing.T) {
	t.Parallel()
	const bad, unknown, reserved = "!invalid_param", "!unknown_param", "!reserved_claim"
	for _, c := range []struct {
		kind  playback.TokenType
		name  string
		value any
		want  string
	}{
		{playback.Thumbnail, "time", "5", "5"},
		{playback.Thumbnail, "time", "5.0", "5"},
		{playback.Thumbnail, "time", json.Number("5.0"), "5"},
		{playback.Thumbnail, "time", json.Number("50e-1"), "5"},
		{playback.Thumbnail, "time", 5.0, "5"},
		{playback.Thumbnail, "time", "0.250", "0.25"},
		{playback.Thumbnail, "time", "-0", "0"},
		{playback.Thumbnail, "time", "-1", bad},
		{playback.Thumbnail, "time", "NaN", bad},
		{playback.Thumbnail, "time", "Infinity", bad},
		{playback.Thumbnail, "time", "0x10", bad},
		{playback.Thumbnail, "time", "1_000", bad},
		{playback.Thumbnail, "time", "05", bad},
		{playback.Thumbnail, "time", ".5", bad},
		{playback.Thumbnail, "time", "5.", bad},
		{playback.Thumbnail, "time", "+5", bad},
		{playback.Thumbnail, "time", " 5", bad},
		{playback.Thumbnail, "time", "1e999", bad},
		{playback.Thumbnail, "time", "1e300", bad},
		{playback.Thumbnail, "time", "0.123456789012345", "0.123456789012345"},
		{playback.Thumbnail, "time", "0.1234567890123456", bad},
		{playback.Thumbnail, "time", "123456789012345", "123456789012345"},
		{playback.Thumbnail, "time", "1234567890123456", bad},
		{playback.Video, "asset_start_time", "604800", "604800"},
		{playback.Thumbnail, "time", "", bad},
		{playback.Thumbnail, "time", true, bad},
		{playback.Thumbnail, "time", nil, bad},
		{playback.Thumbnail, "width", "320.0", "320"},
		{playback.Thumbnail, "width", "320.5", bad},
		{playback.Thumbnail, "width", "0", bad},
		{playback.Thumbnail, "rotate", "90", "90"},
		{playback.Thumbnail, "rotate", "91", bad},
		{playback.Thumbnail, "rotate", "0", bad},
		{playback.Thumbnail, "fit_mode", "smartcrop", `"smartcrop"`},
		{playback.Thumbnail, "fit_mode", "Crop", bad},
		{playback.Thumbnail, "flip_v", "true", "true"},
		{playback.Thumbnail, "flip_v", false, "false"},
		{playback.Thumbnail, "flip_v", "1", bad},
		{playback.Thumbnail, "flip_v", "TRUE", bad},
		{playback.Thumbnail, "program_time", "1700000000", "1700000000"},
		{playback.Thumbnail, "program_time", "1700000000.5", bad},
		{playback.Video, "max_resolution", "1080p", `"1080p"`},
		{playback.Video, "max_resolution", "999p", bad},
		{playback.Video, "max_resolution", json.Number("1080"), bad},
		{playback.Video, "rendition_order", "desc", `"desc"`},
		{playback.Video, "rendition_order", "asc", bad},
		{playback.Video, "default_subtitles_lang", "pt-BR", `"pt-BR"`},
		{playback.Video, "default_subtitles_lang", `en"`, bad},
		{playback.Video, "default_subtitles_lang", "e", bad},
		{playback.Video, "default_subtitles_lang", "en-", bad},
		{playback.Video, "default_subtitles_lang", "12", bad},
		{playback.Video, "asset_start_time", "1.5", "1.5"},
		{playback.Video, "program_start_time", "1.5", bad},
		{playback.Video, "time", "1", unknown},
		{playback.Video, "add_audio_only", "true", unknown},
		{playback.Video, "", "1", unknown},
		{playback.GIF, "width", "640", "640"},
		{playback.GIF, "width", "641", bad},
		{playback.GIF, "fps", "30", "30"},
		{playback.GIF, "fps", "31", bad},
		{playback.Storyboard, "format", "webp", `"webp"`},
		{playback.Storyboard, "format", "gif", bad},
		{playback.DRMLicense, "offline", "true", "true"},
		{playback.DRMLicense, "licenseExpiration", "86400", "86400"},
		{playback.Stats, "time", "1", unknown},
		{playback.Video, "sub", "x", reserved},
		{playback.Video, "aud", "x", reserved},
		{playback.Video, "exp", "x", reserved},
		{playback.Video, "kid", "x", reserved},
		{playback.Video, "iat", "x", reserved},
		{playback.Video, "nbf", "x", reserved},
		{playback.Video, "iss", "x", reserved},
		{playback.Video, "jti", "x", reserved},
		{playback.Video, "playback_restriction_id", "x", reserved},
		{playback.Video, "custom", "x", reserved},
	} {
		p, err := playback.ParseParam(c.kind, c.name, c.value)
		got := p.JSON
		if err != nil {
			got = "!" + string(err.Code)
		}
		if got != c.want {
			t.Errorf("ParseParam(%s, %q, %v) = %s, want %s", c.kind, c.name, c.value, got, c.want)
		}
	}
}

func parseAll(t *testing.T, kind playback.TokenType, query string) playback.Params {
	t.Helper()
	var ps playback.Params
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		p, err := playback.ParseParam(kind, name, value)
		if err != nil {
			t.Fatal(err)
		}
		ps = ps.With(p)
	}
	return ps
}

func TestCheckParams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  playback.TokenType
		query string
		ok    bool
	}{
		{playback.Thumbnail, "fit_mode=crop&width=320&height=180", true},
		{playback.Thumbnail, "fit_mode=crop&width=320", false},
		{playback.Thumbnail, "fit_mode=pad", false},
		{playback.Thumbnail, "fit_mode=preserve", true},
		{playback.GIF, "start=1&end=1.25", true},
		{playback.GIF, "start=1&end=1.2", false},
		{playback.GIF, "start=1&end=11", true},
		{playback.GIF, "start=1&end=11.1", false},
		{playback.GIF, "end=10", true},
		{playback.GIF, "end=10.5", false},
		{playback.GIF, "start=100", true},
		{playback.Video, "asset_start_time=5&asset_end_time=5", false},
		{playback.Video, "asset_start_time=5&asset_end_time=6", true},
		{playback.Video, "asset_end_time=0", false},
		{playback.Storyboard, "program_start_time=7&program_end_time=6", false},
		{playback.Video, "min_resolution=1080p&max_resolution=720p", false},
		{playback.Video, "min_resolution=480p&max_resolution=2160p", true},
		{playback.Video, "min_resolution=2160p", true},
		{playback.GIF, "start=0.1&end=0.35", true},
		{playback.GIF, "start=8.1&end=18.1", true},
		{playback.Video, "min_resolution=720p&max_resolution=720p", true},
	} {
		err := playback.CheckParams(c.kind, parseAll(t, c.kind, c.query))
		if (err == nil) != c.ok {
			t.Errorf("CheckParams(%s, %s) = %v, want ok %v", c.kind, c.query, err, c.ok)
		}
		if err != nil && !errors.Is(err, playback.CodeInvalidParam) {
			t.Errorf("CheckParams(%s, %s) = %v, want invalid_param", c.kind, c.query, err)
		}
	}
}

func TestParamsOrderAndRepetitionDoNotMatter(t *testing.T) {
	t.Parallel()
	a := parseAll(t, playback.Thumbnail, "width=320&time=5&height=180")
	b := parseAll(t, playback.Thumbnail, "height=180.0&width=1&time=5.0&width=320")
	if len(a) != 3 || len(b) != 3 {
		t.Fatalf("lengths %d and %d, want 3", len(a), len(b))
	}
	for n := range a {
		if a[n] != b[n] {
			t.Errorf("parameter %d: %v and %v", n, a[n], b[n])
		}
	}
	forced := parseAll(t, playback.Thumbnail, "width=640")
	if p, _ := forced.Over(a).Get("width"); p.JSON != "640" || len(a) != 3 || a[2].JSON != "320" {
		t.Errorf("forced width = %v; the sent set became %v", p, a)
	}
}

// TestDefaultViewerParams is the list of contract §4, word by word.
func TestDefaultViewerParams(t *testing.T) {
	t.Parallel()
	for kind, want := range map[playback.TokenType]string{
		playback.Video:      "redundant_streams default_subtitles_lang max_resolution min_resolution rendition_order exclude_pdt roku_trick_play",
		playback.Thumbnail:  "time width height rotate fit_mode flip_v flip_h latest",
		playback.GIF:        "start end width height fps",
		playback.Storyboard: "format",
		playback.DRMLicense: "",
		playback.Stats:      "",
	} {
		if got := strings.Join(playback.DefaultViewerParams(kind), " "); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func FuzzParseParam(f *testing.F) {
	for _, seed := range []string{"5", "5.0", "1e3", "true", "720p", "en-US", "-0", "1e308", "\x00"} {
		f.Add(uint8(0), "asset_start_time", seed)
		f.Add(uint8(1), "time", seed)
	}
	f.Fuzz(func(t *testing.T, kind uint8, name, value string) {
		tt := playback.TokenType(kind) % playback.TokenTypes
		p, err := playback.ParseParam(tt, name, value)
		if err != nil {
			return
		}
		if !json.Valid([]byte(p.JSON)) || strings.ContainsAny(p.JSON, "\\<>&\n") {
			t.Fatalf("ParseParam(%s, %q, %q) = %q", tt, name, value, p.JSON)
		}
		again, err := playback.ParseParam(tt, name, p.Value())
		if err != nil || again != p {
			t.Fatalf("canonical form of %q is not stable: %v, then %v, %v", value, p, again, err)
		}
		if again, err := playback.ParseParam(tt, name, p.Text()); err != nil || again != p {
			t.Fatalf("text of %q does not read back: %v, then %v, %v", value, p, again, err)
		}
	})
}
