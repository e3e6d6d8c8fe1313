package muxsim_test

import (
	"encoding/binary"
	"encoding/hex"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/playgate/playgate/muxsim"
)

// boxes lists the top-level boxes of an ISO media file (ISO/IEC 14496-12 §4.2).
func boxes(tb testing.TB, data string) []string {
	tb.Helper()
	var names []string
	for len(data) > 0 {
		if len(data) < 8 {
			tb.Fatal("truncated box")
		}
		size := int(binary.BigEndian.Uint32([]byte(data)))
		if size < 8 || size > len(data) {
			tb.Fatalf("box of %d bytes in %d", size, len(data))
		}
		names = append(names, data[4:8])
		data = data[size:]
	}
	return names
}

func TestLadderIsRealFragmentedMP4(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, manifest := range []string{with("/Film.m3u8", good("Film", "v", nil)), "/Open.m3u8"} {
		playlist := e.get(t, manifest)
		variants := lines(playlist, "#EXT-X-STREAM-INF")
		for i, uri := range lines(playlist, "") {
			rendition := e.get(t, uri)
			initial := e.get(t, attribute(lines(rendition, "#EXT-X-MAP")[0], "URI"))
			if got := boxes(t, initial); !slices.Contains(got, "ftyp") || !slices.Contains(got, "moov") {
				t.Errorf("init segment has boxes %v", got)
			}
			checkCodecs(t, variants[i], initial)
			checkBandwidth(t, e, variants[i], rendition)
		}
	}
}

// checkCodecs compares the playlist's CODECS with the avcC box (ISO/IEC
// 14496-15 §5.3.3: version, profile, compatibility, level).
func checkCodecs(t *testing.T, variant, initial string) {
	t.Helper()
	_, config, ok := strings.Cut(initial, "avcC")
	if !ok || !strings.Contains(initial, "mp4a") {
		t.Fatal("the init segment lacks H.264 or AAC")
	}
	want := `CODECS="avc1.` + hex.EncodeToString([]byte(config[1:4])) + `,mp4a.40.2"`
	if !strings.Contains(variant, want) {
		t.Errorf("%s declares other codecs than %s", variant, want)
	}
}

// checkBandwidth holds RFC 8216 §4.3.4.2: no segment is above BANDWIDTH.
func checkBandwidth(t *testing.T, e *edge, variant, rendition string) {
	t.Helper()
	peak, err := strconv.Atoi(attribute(variant, "BANDWIDTH"))
	if err != nil {
		t.Fatal(err)
	}
	durations := lines(rendition, "#EXTINF:")
	for i, uri := range lines(rendition, "") {
		segment := e.get(t, uri)
		if got := boxes(t, segment); !slices.Contains(got, "moof") || got[len(got)-1] != "mdat" {
			t.Errorf("segment %d has boxes %v", i, got)
		}
		seconds, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(durations[i], "#EXTINF:"), ","), 64)
		if err != nil {
			t.Fatal(err)
		}
		if rate := float64(8*len(segment)) / seconds; int(rate) > peak || seconds > 3 {
			t.Errorf("segment %d: %.0f bit/s over %.1f s, declared peak %d", i, rate, seconds, peak)
		}
	}
}

func TestDurationIsWhatThePlaylistAddsUpTo(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for manifest, media := range map[string]muxsim.Media{with("/Film.m3u8", good("Film", "v", nil)): muxsim.Film, "/Open.m3u8": muxsim.Trailer} {
		var total float64
		for _, line := range lines(e.get(t, lines(e.get(t, manifest), "")[0]), "#EXTINF:") {
			seconds, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(line, "#EXTINF:"), ","), 64)
			if err != nil {
				t.Fatal(err)
			}
			total += seconds
		}
		if total != media.Duration().Seconds() {
			t.Errorf("%s lasts %.2f s, Duration says %s", media, total, media.Duration())
		}
	}
}

// TestFFprobeReadsTheClips asks ffprobe where it is installed; what it would
// find is held without it by the tests above.
func TestFFprobeReadsTheClips(t *testing.T) {
	t.Parallel()
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Logf("ffprobe is not installed: the box tests stand alone")
		return
	}
	for file, want := range map[string]string{
		"media/film/270p/index.m3u8": "h264 480 270", "media/film/480p/index.m3u8": "h264 854 480",
		"media/film/720p/index.m3u8": "h264 1280 720", "media/trailer/270p/index.m3u8": "h264 480 270",
	} {
		out, err := exec.CommandContext(t.Context(), ffprobe, "-v", "error", "-select_streams", "v:0",
			"-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0:s=\\ ", file).Output()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if first, _, _ := strings.Cut(string(out), "\n"); first != want {
			t.Errorf("ffprobe reads %s as %q, want %q", file, first, want)
		}
	}
}
