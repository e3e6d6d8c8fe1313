package playback_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
)

// forcing parses what a grant forces, by type.
func forcing(t *testing.T, queries map[playback.TokenType]string) (forced [playback.TokenTypes]playback.Params) {
	t.Helper()
	for kind, query := range queries {
		forced[kind] = parseAll(t, kind, query)
	}
	return forced
}

// grantOf is a grant with the default viewer_params that forces the parameters.
func grantOf(t *testing.T, forced [playback.TokenTypes]playback.Params) *playback.Grant {
	t.Helper()
	g := &playback.Grant{}
	for kind := range playback.TokenTypes {
		g.ViewerParams[kind] = playback.NameSet{}
		for _, name := range playback.DefaultViewerParams(kind) {
			g.ViewerParams[kind][name] = struct{}{}
		}
	}
	for kind, err := range g.Force(forced) {
		if err != nil {
			t.Fatalf("forcing %v: %s: %v", forced, playback.TokenType(kind), err)
		}
	}
	return g
}

func query(ps playback.Params) string {
	text := ""
	for _, p := range ps {
		if text != "" {
			text += "&"
		}
		text += p.Name + "=" + p.Text()
	}
	return text
}

// TestAForcedClipHoldsForEveryType: what is sent is within the clip or refused,
// and what is left out is the clip's start, whatever Mux's default is.
func TestAForcedClipHoldsForEveryType(t *testing.T) {
	t.Parallel()
	const refused = "!param_not_granted"
	type of = map[playback.TokenType]string
	minute := of{playback.Video: "asset_start_time=0&asset_end_time=60"}
	middle := of{playback.Video: "asset_start_time=20&asset_end_time=60"}
	from, until := of{playback.Video: "asset_start_time=20"}, of{playback.Video: "asset_end_time=60"}
	board := of{playback.Storyboard: "asset_start_time=20&asset_end_time=60"}
	program := of{playback.Video: "program_start_time=1700000000&program_end_time=1700000600"}
	ended := of{playback.Video: "program_end_time=1700000600"}
	for _, c := range []struct {
		forced of
		kind   playback.TokenType
		sent   string
		want   string
	}{
		{minute, playback.Thumbnail, "", "time=0"},
		{minute, playback.Thumbnail, "time=60", "time=60"},
		{minute, playback.Thumbnail, "time=60.1", refused},
		{minute, playback.Thumbnail, "width=320", "time=0&width=320"},
		{minute, playback.Thumbnail, "latest=true", refused},
		{minute, playback.Thumbnail, "program_time=1700000000", refused},
		{middle, playback.Thumbnail, "", "time=20"},
		{middle, playback.Thumbnail, "time=19.999", refused},
		{middle, playback.Thumbnail, "time=20.5", "time=20.5"},
		{from, playback.Thumbnail, "", "time=20"},
		{from, playback.Thumbnail, "time=86400", "time=86400"},
		{until, playback.Thumbnail, "", "time=0"},
		{until, playback.Thumbnail, "time=61", refused},
		{board, playback.Thumbnail, "", "time=20"},
		{program, playback.Thumbnail, "", "program_time=1700000000"},
		{program, playback.Thumbnail, "program_time=1700000600", "program_time=1700000600"},
		{program, playback.Thumbnail, "program_time=1700000601", refused},
		{program, playback.Thumbnail, "time=1", refused},
		{ended, playback.Thumbnail, "", "time=0"},
		{ended, playback.Thumbnail, "program_time=1", "program_time=1"},

		{minute, playback.GIF, "", "start=0"},
		{minute, playback.GIF, "start=50", "start=50"},
		{minute, playback.GIF, "start=57", "end=60&start=57"}, // Mux would go on to 62
		{minute, playback.GIF, "start=59.75", "end=60&start=59.75"},
		{minute, playback.GIF, "start=59.8", refused}, // no GIF is that short
		{minute, playback.GIF, "start=60", refused},
		{minute, playback.GIF, "start=55&end=60", "end=60&start=55"},
		{minute, playback.GIF, "start=55&end=60.5", refused},
		{middle, playback.GIF, "", "start=20"},
		{middle, playback.GIF, "end=25", "end=25&start=20"}, // 25 seconds after Mux's start
		{middle, playback.GIF, "end=40", "!invalid_param"},
		{middle, playback.GIF, "end=20.1", refused},
		{middle, playback.GIF, "end=5", refused},
		{middle, playback.GIF, "start=10", refused},
		{from, playback.GIF, "start=3600", "start=3600"},
		{of{playback.Video: "asset_end_time=3"}, playback.GIF, "", "end=3&start=0"},
		{board, playback.GIF, "fps=5", "fps=5&start=20"},
		{of{playback.Video: "asset_end_time=60", playback.GIF: "start=58"}, playback.GIF, "", "end=60&start=58"},
		{of{playback.Video: "asset_start_time=20", playback.GIF: "end=24"}, playback.GIF, "start=30", "end=24&start=20"},
		{of{playback.Video: "program_start_time=5", playback.GIF: "start=9"}, playback.GIF, "", "start=9"},
		{of{playback.Video: "program_start_time=5", playback.GIF: "start=9"}, playback.GIF, "end=10", refused},

		{minute, playback.Storyboard, "", "asset_end_time=60&asset_start_time=0"},
		{minute, playback.Storyboard, "format=webp", `asset_end_time=60&asset_start_time=0&format=webp`},
		{minute, playback.Storyboard, "asset_end_time=30", refused},
		{minute, playback.Storyboard, "program_end_time=30", refused},
		{program, playback.Storyboard, "", "program_end_time=1700000600&program_start_time=1700000000"},
		{of{playback.Video: "asset_end_time=60", playback.Storyboard: "asset_end_time=90"}, playback.Storyboard, "", "asset_end_time=90"},
		{of{playback.Video: "asset_end_time=60", playback.Storyboard: "asset_start_time=5"}, playback.Storyboard, "", "asset_end_time=60&asset_start_time=5"},

		{minute, playback.Video, "asset_end_time=90", "asset_end_time=60&asset_start_time=0"},
		{until, playback.Video, "asset_start_time=30", refused},
		{until, playback.Video, "program_end_time=30", refused},
		{minute, playback.DRMLicense, "", ""},
		{of{}, playback.Thumbnail, "", ""},
		{of{}, playback.GIF, "start=100", "start=100"},
	} {
		g := grantOf(t, forcing(t, c.forced))
		var sent playback.Params
		if c.sent != "" {
			sent = parseAll(t, c.kind, c.sent)
		}
		settled, err := g.Settle(c.kind, sent, true)
		got := query(settled)
		if err != nil {
			got = "!" + string(err.Code)
		}
		if got != c.want {
			t.Errorf("%v forced, %s sends %q: %q, want %q (%v)", c.forced, c.kind, c.sent, got, c.want, err)
		}
	}
}

// TestWhatContradictsAForcedParameterGivesWay, for backends too, and what does
// not stays.
func TestWhatContradictsAForcedParameterGivesWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind               playback.TokenType
		forced, sent, want string
	}{
		{playback.Video, "max_resolution=480p", "min_resolution=1080p", "max_resolution=480p"},
		{playback.Video, "max_resolution=480p", "min_resolution=480p", "max_resolution=480p&min_resolution=480p"},
		{playback.Video, "min_resolution=720p", "max_resolution=270p&exclude_pdt=true", "exclude_pdt=true&min_resolution=720p"},
		{playback.Video, "max_resolution=480p", "max_resolution=2160p&min_resolution=270p", "max_resolution=480p&min_resolution=270p"},
		{playback.GIF, "start=20", "end=5", "start=20"},
		{playback.GIF, "start=20", "end=25", "end=25&start=20"},
		{playback.GIF, "end=8", "start=9", "end=8"},
		{playback.GIF, "end=8", "start=7&fps=5", "end=8&fps=5&start=7"},
		{playback.GIF, "fps=5", "start=20&end=25", "end=25&fps=5&start=20"},
		{playback.Thumbnail, "time=5", "latest=true", "time=5"},
		{playback.Thumbnail, "time=5", "program_time=1700000000&width=320", "time=5&width=320"},
		{playback.Thumbnail, "program_time=1700000000", "time=9", "program_time=1700000000"},
		{playback.Thumbnail, "latest=true", "time=9", "latest=true"},
		{playback.Thumbnail, "latest=false", "time=9", "latest=false&time=9"},
		{playback.Thumbnail, "width=100", "fit_mode=crop&height=50&width=9", `fit_mode=crop&height=50&width=100`},
	} {
		forced := forcing(t, map[playback.TokenType]string{c.kind: c.forced})
		for _, backend := range []bool{false, true} {
			g := grantOf(t, forced)
			g.ViewerParams[c.kind]["program_time"] = struct{}{}
			settled, err := g.Settle(c.kind, parseAll(t, c.kind, c.sent), backend)
			if got := query(settled); err != nil || got != c.want {
				t.Errorf("%s: %q forced, %q sent (backend %t): %q, %v, want %q", c.kind, c.forced, c.sent, backend, got, err, c.want)
			}
		}
	}
}

// TestContradictoryForcedParametersAreProblems, of the type that has them.
func TestContradictoryForcedParametersAreProblems(t *testing.T) {
	t.Parallel()
	type of = map[playback.TokenType]string
	for _, c := range []struct {
		forced of
		want   []playback.TokenType
	}{
		{of{playback.Video: "min_resolution=1080p&max_resolution=720p"}, []playback.TokenType{playback.Video}},
		{of{playback.Video: "program_start_time=9&program_end_time=9"}, []playback.TokenType{playback.Video}},
		{of{playback.Video: "asset_start_time=9&asset_end_time=8", playback.GIF: "start=5", playback.Thumbnail: "fit_mode=pad"}, []playback.TokenType{playback.Video, playback.Thumbnail}},
		{of{playback.Storyboard: "asset_start_time=9&asset_end_time=8"}, []playback.TokenType{playback.Storyboard}},
		{of{playback.Video: "asset_end_time=60", playback.Storyboard: "asset_start_time=70"}, []playback.TokenType{playback.Storyboard}},
		{of{playback.Video: "asset_end_time=60", playback.GIF: "start=59.9"}, []playback.TokenType{playback.GIF}},
		{of{playback.Video: "asset_end_time=60", playback.GIF: "end=70&start=65"}, []playback.TokenType{playback.GIF}},
		{of{playback.Video: "asset_start_time=20", playback.GIF: "end=31"}, []playback.TokenType{playback.GIF}},
		{of{playback.GIF: "end=30"}, []playback.TokenType{playback.GIF}},
		{of{playback.Video: "asset_start_time=20", playback.GIF: "end=30"}, nil},
		{of{playback.Video: "asset_end_time=60", playback.Thumbnail: "time=61"}, []playback.TokenType{playback.Thumbnail}},
		{of{playback.Video: "asset_end_time=60", playback.Thumbnail: "latest=true"}, []playback.TokenType{playback.Thumbnail}},
		{of{playback.Video: "asset_end_time=60", playback.Thumbnail: "latest=false"}, nil},
		{of{playback.Video: "program_end_time=60", playback.Thumbnail: "program_time=61"}, []playback.TokenType{playback.Thumbnail}},
		{of{playback.Video: "program_end_time=60", playback.Thumbnail: "time=61"}, nil}, // they cannot be compared
		{of{playback.Video: "asset_end_time=0.1"}, nil},                                 // too short for a GIF, which is closed
	} {
		var g playback.Grant
		var got []playback.TokenType
		for kind, err := range g.Force(forcing(t, c.forced)) {
			if err != nil {
				got = append(got, playback.TokenType(kind))
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: types with problems (-want +got):\n%s", c.forced, diff)
		}
	}
}

// TestTypesThatCannotKeepAClipAreClosed, unless the document says itself what
// they show.
func TestTypesThatCannotKeepAClipAreClosed(t *testing.T) {
	t.Parallel()
	type of = map[playback.TokenType]string
	both := "asset_end_time=60&program_end_time=60"
	for _, c := range []struct {
		forced of
		want   playback.TypeSet
	}{
		{of{}, 0},
		{of{playback.Video: "asset_start_time=20&asset_end_time=60"}, 0},
		{of{playback.Video: "asset_end_time=0.25"}, 0},
		{of{playback.Video: "asset_end_time=0.2"}, playback.TypesOf(playback.GIF)},
		{of{playback.Video: "program_start_time=5"}, playback.TypesOf(playback.GIF)},
		{of{playback.Video: "program_start_time=5", playback.GIF: "start=9"}, 0},
		{of{playback.Video: both}, playback.TypesOf(playback.GIF, playback.Thumbnail)},
		{of{playback.Video: both, playback.Thumbnail: "time=9"}, playback.TypesOf(playback.GIF)},
		{of{playback.Video: "asset_end_time=60", playback.Storyboard: "program_end_time=60"}, playback.TypesOf(playback.GIF, playback.Thumbnail)},
	} {
		g := grantOf(t, forcing(t, c.forced))
		if got := g.Closed(); got != c.want {
			t.Errorf("%v closes %b, want %b", c.forced, got, c.want)
		}
		g.Types = playback.TypesOf(playback.Video, playback.Thumbnail, playback.GIF)
		for kind := range playback.TokenTypes {
			if want := g.Types.Has(kind) && !c.want.Has(kind); g.Gives(kind) != want {
				t.Errorf("%v: gives %s: %t, want %t", c.forced, kind, !want, want)
			}
			if _, err := g.Settle(kind, nil, true); (err != nil) != c.want.Has(kind) || err != nil && err.Code != playback.CodeTypeNotGranted {
				t.Errorf("%v: Settle(%s) = %v", c.forced, kind, err)
			}
		}
	}
}

// recording is a video that begins at a moment of the program. What it is on
// the one timeline and on the other only Mux knows.
type recording struct{ begins, length float64 }

// part is what the clip bounds of a set of parameters leave of it, in seconds of
// the asset.
func (r recording) part(ps playback.Params) (from, to float64) {
	from, to = 0, r.length
	for _, p := range ps {
		switch p.Name {
		case "asset_start_time":
			from = max(from, p.Number())
		case "asset_end_time":
			to = min(to, p.Number())
		case "program_start_time":
			from = max(from, p.Number()-r.begins)
		case "program_end_time":
			to = min(to, p.Number()-r.begins)
		}
	}
	return from, to
}

// shows is what a token of a type shows of it, by Mux's documentation (Get
// images from a video, Instant clips), independently of the code under test.
func (r recording) shows(kind playback.TokenType, ps playback.Params) (from, to float64) {
	value := func(name string, otherwise float64) float64 {
		if p, ok := ps.Get(name); ok {
			return p.Number()
		}
		return otherwise
	}
	switch kind {
	case playback.GIF:
		from = value("start", 0)
		return from, value("end", from+5)
	case playback.Thumbnail:
		if p, ok := ps.Get("latest"); ok && p.JSON == "true" {
			return r.length, r.length
		}
		at := value("program_time", r.begins+value("time", r.length/2)) - r.begins
		return at, at
	case playback.Video, playback.Storyboard, playback.DRMLicense, playback.Stats, playback.StatsAsset, playback.StatsLiveStream, playback.StatsVideo, playback.TokenTypes:
	}
	return r.part(ps)
}

// TestNoParameterShowsWhatIsOutsideTheClip, whatever a backend sends, on any
// recording of which the clip leaves something.
func TestNoParameterShowsWhatIsOutsideTheClip(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(15, 3))
	kinds := []playback.TokenType{playback.Video, playback.Thumbnail, playback.GIF, playback.Storyboard}
	tried := map[playback.TokenType]int{}
	for range 60_000 {
		var forced [playback.TokenTypes]playback.Params
		bounded := playback.Video
		if random.IntN(4) == 0 {
			bounded = playback.Storyboard
		}
		forced[bounded] = moments(t, random, bounded, playback.ClipBounds())
		var g playback.Grant
		contradictory := false
		for _, err := range g.Force(forced) {
			contradictory = contradictory || err != nil
		}
		kind := kinds[random.IntN(len(kinds))]
		if contradictory || !g.ForcesClip() || kind == playback.Video && bounded != playback.Video {
			continue // a storyboard's clip does not bound the video; policy check warns
		}
		g.Types = playback.TypesOf(kinds...)
		if !g.Gives(kind) {
			continue
		}
		settled, err := g.Settle(kind, moments(t, random, kind, playback.ParamNames(kind)), true)
		r := recording{begins: float64(random.IntN(30)), length: 1 + float64(random.IntN(60))}
		least, most := r.part(forced[bounded])
		if err != nil || least > most {
			continue
		}
		tried[kind]++
		from, to := r.shows(kind, settled)
		if from > r.length || to < 0 { // nothing
			continue
		}
		if max(from, 0) < least || min(to, r.length) > most {
			t.Fatalf("%s forced on %s: a %s with %s shows %g to %g of %+v, outside of %g to %g",
				query(forced[bounded]), bounded, kind, query(settled), from, to, r, least, most)
		}
	}
	for _, kind := range kinds {
		if tried[kind] < 500 {
			t.Errorf("only %d tokens of %s were looked at", tried[kind], kind)
		}
	}
}

// moments are random values for some of the named parameters that say what is
// shown.
func moments(t *testing.T, random *rand.Rand, kind playback.TokenType, names []string) (ps playback.Params) {
	t.Helper()
	for _, name := range names {
		if random.IntN(3) > 0 {
			continue
		}
		value := strconv.FormatFloat(math.Round(random.Float64()*240)/4, 'f', -1, 64)
		switch name {
		case "asset_start_time", "asset_end_time", "start", "end", "time":
		case "program_start_time", "program_end_time", "program_time":
			value = strconv.Itoa(random.IntN(90))
		case "latest":
			value = strconv.FormatBool(random.IntN(2) == 0)
		default:
			continue
		}
		p, err := playback.ParseParam(kind, name, value)
		if err != nil {
			t.Fatal(err)
		}
		ps = ps.With(p)
	}
	if playback.CheckSent(kind, ps) != nil {
		return nil
	}
	return ps
}

// TestAStartIsWithinAKnownDuration.
func TestAStartIsWithinAKnownDuration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind     playback.TokenType
		sent     string
		duration float64
		ok       bool
	}{
		{playback.Video, "asset_start_time=60", 60, false},
		{playback.Video, "asset_start_time=59.9", 60, true},
		{playback.Video, "asset_start_time=60", 0, true}, // unknown
		{playback.Video, "asset_end_time=90", 60, true},
		{playback.Storyboard, "asset_start_time=61", 60, false},
		{playback.GIF, "start=60", 60, false},
		{playback.GIF, "start=59", 60, true},
		{playback.Thumbnail, "time=61", 60, true}, // no start
	} {
		err := playback.CheckDuration(c.kind, parseAll(t, c.kind, c.sent), c.duration)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, playback.CodeInvalidParam) {
			t.Errorf("%s %s of %g seconds: %v, want ok %t", c.kind, c.sent, c.duration, err, c.ok)
		}
	}
}
