package playback

import (
	"strconv"
	"strings"
)

// CheckSent checks what spans several parameters of one type that a caller
// sent, as far as no rule can change it: the start of a GIF that is left out is
// the rule's, or that of the rule's clip, before it is Mux's.
func CheckSent(t TokenType, ps Params) *Error {
	if _, ok := ps.Get("start"); t == GIF && !ok {
		if end, sent := ps.number("end"); sent && end < shortestGIF {
			return gifLength()
		}
		return nil
	}
	return CheckParams(t, ps)
}

// CheckParams checks what spans several parameters of one type. Those that are
// left out have Mux's defaults.
func CheckParams(t TokenType, ps Params) *Error {
	if len(ps) == 0 {
		return nil
	}
	switch t {
	case Video:
		if err := checkResolutions(ps); err != nil {
			return err
		}
		return checkClip(ps)
	case Storyboard:
		return checkClip(ps)
	case Thumbnail:
		return checkFit(ps)
	case GIF:
		return checkGIF(ps)
	case DRMLicense, Stats, StatsAsset, StatsLiveStream, StatsVideo, TokenTypes:
	}
	return nil
}

func checkResolutions(ps Params) *Error {
	least, okLeast := ps.Get("min_resolution")
	most, okMost := ps.Get("max_resolution")
	if okLeast && okMost && lines(least) > lines(most) {
		return Errorf(CodeInvalidParam, "min_resolution: must not be above max_resolution")
	}
	return nil
}

// lines returns 480 for "480p".
func lines(resolution Param) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(resolution.Text(), "p")) // one of resolutions()
	return n
}

func checkClip(ps Params) *Error {
	for _, pair := range [...][2]string{{"asset_start_time", "asset_end_time"}, {"program_start_time", "program_end_time"}} {
		start, okStart := ps.number(pair[0])
		end, okEnd := ps.number(pair[1])
		if okEnd && (okStart && end <= start || end == 0) {
			return Errorf(CodeInvalidParam, "%s: must be after %s", pair[1], pair[0])
		}
	}
	return nil
}

func checkFit(ps Params) *Error {
	mode, ok := ps.Get("fit_mode")
	if !ok || mode.Text() == "preserve" {
		return nil
	}
	_, width := ps.Get("width")
	_, height := ps.Get("height")
	if !width || !height {
		return Errorf(CodeInvalidParam, "fit_mode: %s needs width and height", mode.Text())
	}
	return nil
}

// The lengths of a GIF in seconds: Get images from a video.
const (
	shortestGIF = 0.25
	longestGIF  = 10
	defaultGIF  = 5 // where its end is left out
	// rounding is what a difference of two decimal numbers may be off in binary:
	// 0.35 − 0.1 is a little less than 0.25.
	rounding = 1e-9
)

func checkGIF(ps Params) *Error {
	start, _ := ps.number("start") // Mux's default is 0
	end, ok := ps.number("end")
	if !ok {
		return nil // Mux's default is start + 5
	}
	if length := end - start; length < shortestGIF-rounding || length > longestGIF+rounding {
		return gifLength()
	}
	return nil
}

func gifLength() *Error {
	return Errorf(CodeInvalidParam, "end: must be 0.25 to 10 seconds after start")
}

// CheckDuration checks what was sent for one type against the length of the
// asset in seconds; 0: unknown.
func CheckDuration(t TokenType, sent Params, duration float64) *Error {
	name := "asset_start_time"
	if t == GIF {
		name = "start"
	}
	if start, ok := sent.number(name); ok && duration > 0 && start >= duration {
		return Errorf(CodeInvalidParam, "%s: must be before the end of the asset", name)
	}
	return nil
}
