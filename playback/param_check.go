package playback

// CheckParams checks what spans several parameters of one type.
func CheckParams(t TokenType, ps Params) *Error {
	if len(ps) == 0 {
		return nil
	}
	switch t {
	case Video, Storyboard:
		return checkClip(ps)
	case Thumbnail:
		return checkFit(ps)
	case GIF:
		return checkGIF(ps)
	case DRMLicense, Stats, StatsAsset, StatsLiveStream, StatsVideo, TokenTypes:
	}
	return nil
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

func checkGIF(ps Params) *Error {
	start, _ := ps.number("start") // Mux's default is 0
	end, ok := ps.number("end")
	if !ok {
		return nil // Mux's default is start + 5
	}
	const rounding = 1e-9 // 0.35 − 0.1 is a little less than 0.25 in binary
	if length := end - start; length < 0.25-rounding || length > 10+rounding {
		return Errorf(CodeInvalidParam, "end: must be 0.25 to 10 seconds after start")
	}
	return nil
}
