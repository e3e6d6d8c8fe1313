package muxsim

import (
	"encoding/json"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// params are the known parameters of one request, as text: from the query of a
// public playback ID, or from a token's claims.
type params map[string]string

// spec checks one parameter's text.
type spec func(text string) bool

// specs is mux.md §1.5, written independently of playback.ParseParam: this is
// the other half of the comparison.
func (r route) specs() map[string]spec {
	window := map[string]spec{
		"asset_start_time": number(0, math.MaxInt32), "asset_end_time": number(0, math.MaxInt32),
		"program_start_time": whole(0, math.MaxInt64), "program_end_time": whole(0, math.MaxInt64),
	}
	with := func(more map[string]spec) map[string]spec {
		maps.Copy(window, more)
		return window
	}
	heights := oneOf("270p", "360p", "480p", "540p", "720p", "1080p", "1440p", "2160p")
	switch r.kind {
	case manifest:
		return with(map[string]spec{
			"redundant_streams": flag, "roku_trick_play": flag, "exclude_pdt": flag,
			"default_subtitles_lang": language, "rendition_order": oneOf("desc"),
			"max_resolution": heights, "min_resolution": heights,
		})
	case static:
		return map[string]spec{"download": fileName}
	case storyboard:
		return with(map[string]spec{"format": oneOf("jpg", "png", "webp")})
	case thumbnail:
		return map[string]spec{
			"time": number(0, math.MaxInt32), "width": whole(1, 1<<14), "height": whole(1, 1<<14),
			"rotate": oneOf("90", "180", "270"), "fit_mode": oneOf("preserve", "stretch", "crop", "smartcrop", "pad"),
			"flip_v": flag, "flip_h": flag, "latest": flag, "program_time": whole(0, math.MaxInt64),
		}
	case animated:
		return map[string]spec{
			"start": number(0, math.MaxInt32), "end": number(0, math.MaxInt32),
			"width": whole(1, 640), "height": whole(1, 640), "fps": whole(1, 30),
		}
	case license, certificate:
		return map[string]spec{
			"licenseExpiration": whole(1, math.MaxInt32), "playDuration": whole(1, math.MaxInt32), "offline": flag,
		}
	case text, counts, health, playlist, chunk:
	}
	return nil
}

// queryParams reads a public playback ID's parameters; unknown names, such as
// CMCD's, are ignored.
func (r route) queryParams(query url.Values) (params, *refusal) {
	out := params{}
	for name, check := range r.specs() {
		values, ok := query[name]
		if !ok {
			continue
		}
		if len(values) > 1 {
			return nil, refuse(RepeatedParam, "The parameter %s is repeated.", name)
		}
		if !check(values[0]) {
			return nil, refuse(InvalidParam, "The parameter %s has a value out of its range.", name)
		}
		out[name] = values[0]
	}
	return out, r.checkTogether(out)
}

// claimParams reads a token's parameters. Strings are taken where Mux's CLI
// would sign one ("time": "5"); objects, arrays and null never are.
func (r route) claimParams(claims map[string]json.RawMessage) (params, *refusal) {
	out := params{}
	for name, check := range r.specs() {
		raw, ok := claims[name]
		if !ok {
			continue
		}
		value, isString := stringMember(claims, name)
		if !isString {
			value = string(raw)
		}
		if !isString && strings.ContainsAny(value[:1], "[{n") || !check(value) {
			return nil, refuse(InvalidParam, "The claim %s has a value of the wrong type or out of its range.", name)
		}
		out[name] = value
	}
	return out, r.checkTogether(out)
}

// checkTogether checks what spans several parameters.
func (r route) checkTogether(p params) *refusal {
	switch r.kind {
	case manifest, storyboard:
		return p.checkWindow()
	case thumbnail:
		mode := p["fit_mode"]
		if mode != "" && mode != "preserve" && (p["width"] == "" || p["height"] == "") {
			return refuse(InvalidParam, "fit_mode %s needs width and height.", mode)
		}
	case animated:
		if p["end"] == "" {
			return nil
		}
		if length := p.number("end", 0) - p.number("start", 0); length < 0.25 || length > 10 {
			return refuse(InvalidParam, "An animation is 0.25 to 10 seconds long.")
		}
	case static, text, license, certificate, counts, health, playlist, chunk:
	}
	return nil
}

func (p params) checkWindow() *refusal {
	for _, pair := range [][2]string{{"asset_start_time", "asset_end_time"}, {"program_start_time", "program_end_time"}} {
		if p[pair[1]] != "" && p.number(pair[1], 0) <= p.number(pair[0], 0) {
			return refuse(InvalidParam, "%s must be after %s.", pair[1], pair[0])
		}
	}
	if p["max_resolution"] != "" && height(p["min_resolution"]) > height(p["max_resolution"]) {
		return refuse(InvalidParam, "min_resolution is above max_resolution.")
	}
	return nil
}

// number returns a numeric parameter, or absent when it was not given.
func (p params) number(name string, absent float64) float64 {
	f, err := strconv.ParseFloat(p[name], 64)
	if err != nil {
		return absent
	}
	return f
}

func (p params) flag(name string) bool { return p[name] == "true" }

// height returns 480 for "480p", and 0 for "".
func height(resolution string) int {
	h, err := strconv.Atoi(strings.TrimSuffix(resolution, "p"))
	if err != nil {
		return 0
	}
	return h
}

// fileName is what may be quoted in a Content-Disposition.
func fileName(text string) bool {
	return text != "" && len(text) <= 255 && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func flag(text string) bool { return text == "true" || text == "false" }

func oneOf(values ...string) spec {
	return func(text string) bool { return slices.Contains(values, text) }
}

// jsonNumber is RFC 8259 §6, so that neither hexadecimal nor NaN is a number.
var jsonNumber = regexp.MustCompile(`\A-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\z`)

func number(least, most float64) spec {
	return func(text string) bool {
		if !jsonNumber.MatchString(text) {
			return false
		}
		f, err := strconv.ParseFloat(text, 64)
		return err == nil && f >= least && f <= most
	}
}

func whole(least, most float64) spec {
	inRange := number(least, most)
	return func(text string) bool {
		f, err := strconv.ParseFloat(text, 64)
		return inRange(text) && err == nil && f == math.Trunc(f)
	}
}

var languageTag = regexp.MustCompile(`\A[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\z`)

func language(text string) bool { return len(text) <= 35 && languageTag.MatchString(text) }
