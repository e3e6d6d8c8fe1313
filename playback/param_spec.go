package playback

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

type paramKind uint8

const (
	number paramKind = iota
	integer
	boolean
	enum
	language
)

type paramSpec struct {
	name     string
	kind     paramKind
	min, max float64  // number, integer
	values   []string // enum; for integers the only values, if set
	viewer   bool     // viewers may choose it by default
}

// unbounded is the maximum of what mux.md gives none: more than 15 digits, the
// grammar's own bound, cannot be written.
const unbounded = 1e15

func resolutions() []string {
	return []string{"270p", "360p", "480p", "540p", "720p", "1080p", "1440p", "2160p"}
}

func clipSpecs() []paramSpec {
	return []paramSpec{
		{name: "asset_start_time", kind: number, max: unbounded},
		{name: "asset_end_time", kind: number, max: unbounded},
		{name: "program_start_time", kind: integer, max: unbounded},
		{name: "program_end_time", kind: integer, max: unbounded},
	}
}

// paramSpecs is mux.md §1.5: Modify playback behavior, Get images from a
// video, Instant clips, Control playback resolution; DRM: the iOS player.
var paramSpecs = [TokenTypes][]paramSpec{ //nolint:gochecknoglobals // a constant table
	Video: append([]paramSpec{
		{name: "redundant_streams", kind: boolean, viewer: true},
		{name: "default_subtitles_lang", kind: language, viewer: true},
		{name: "max_resolution", kind: enum, values: resolutions(), viewer: true},
		{name: "min_resolution", kind: enum, values: resolutions(), viewer: true},
		{name: "rendition_order", kind: enum, values: []string{"desc"}, viewer: true},
		{name: "exclude_pdt", kind: boolean, viewer: true},
		{name: "roku_trick_play", kind: boolean, viewer: true},
	}, clipSpecs()...),
	Thumbnail: {
		{name: "time", kind: number, max: unbounded, viewer: true},
		{name: "width", kind: integer, min: 1, max: unbounded, viewer: true},
		{name: "height", kind: integer, min: 1, max: unbounded, viewer: true},
		{name: "rotate", kind: integer, values: []string{"90", "180", "270"}, min: 90, max: 270, viewer: true},
		{name: "fit_mode", kind: enum, values: []string{"preserve", "stretch", "crop", "smartcrop", "pad"}, viewer: true},
		{name: "flip_v", kind: boolean, viewer: true},
		{name: "flip_h", kind: boolean, viewer: true},
		{name: "latest", kind: boolean, viewer: true},
		{name: "program_time", kind: integer, max: unbounded},
	},
	GIF: {
		{name: "start", kind: number, max: unbounded, viewer: true},
		{name: "end", kind: number, max: unbounded, viewer: true},
		{name: "width", kind: integer, min: 1, max: 640, viewer: true},
		{name: "height", kind: integer, min: 1, max: 640, viewer: true},
		{name: "fps", kind: integer, min: 1, max: 30, viewer: true},
	},
	Storyboard: append([]paramSpec{
		{name: "format", kind: enum, values: []string{"jpg", "png", "webp"}, viewer: true},
	}, clipSpecs()...),
	DRMLicense: {
		{name: "licenseExpiration", kind: integer, min: 1, max: unbounded},
		{name: "playDuration", kind: integer, min: 1, max: unbounded},
		{name: "offline", kind: boolean},
	},
	Stats: nil, StatsAsset: nil, StatsLiveStream: nil, StatsVideo: nil,
}

func specOf(t TokenType, name string) (*paramSpec, bool) {
	for i := range paramSpecs[t] {
		if paramSpecs[t][i].name == name {
			return &paramSpecs[t][i], true
		}
	}
	return nil, false
}

func (s *paramSpec) literal(value any) (string, error) {
	switch s.kind {
	case boolean:
		if b, ok := value.(bool); ok {
			return strconv.FormatBool(b), nil
		}
		if value == "true" || value == "false" {
			return value.(string), nil //nolint:forcetypeassert // compared with strings just above
		}
		return "", fmt.Errorf("want true or false")
	case enum:
		text, ok := value.(string)
		if !ok || !slices.Contains(s.values, text) {
			return "", fmt.Errorf("want one of %s", strings.Join(s.values, ", "))
		}
		return `"` + text + `"`, nil
	case language:
		text, ok := value.(string)
		if !ok || !isLanguageTag(text) {
			return "", fmt.Errorf("want a BCP 47 language tag, such as en or pt-BR")
		}
		return `"` + text + `"`, nil
	case number, integer:
	}
	return s.numeral(value)
}

func (s *paramSpec) numeral(value any) (string, error) {
	var text string
	switch v := value.(type) {
	case string:
		text = v
	case json.Number:
		text = string(v)
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return "", fmt.Errorf("want a number")
	}
	literal, f, err := CanonicalNumber(text)
	switch {
	case err != nil:
		return "", err
	case s.kind == integer && f != math.Trunc(f):
		return "", fmt.Errorf("want an integer")
	case s.values != nil && !slices.Contains(s.values, literal):
		return "", fmt.Errorf("want one of %s", strings.Join(s.values, ", "))
	case f < s.min || f > s.max:
		if s.max == unbounded {
			return "", fmt.Errorf("want at least %g", s.min)
		}
		return "", fmt.Errorf("want %g to %g", s.min, s.max)
	}
	return literal, nil
}

// maxDigits is what a float64 carries without loss, so that equal literals and
// equal values are the same thing.
const maxDigits = 15

// CanonicalNumber reads a number of JSON's grammar (RFC 8259 §6) with at most
// 15 digits and returns its one spelling: decimal, no exponent, no trailing
// zeros, no minus zero.
func CanonicalNumber(text string) (string, float64, error) {
	if len(text) > 40 || !isJSONNumber(text) {
		return "", 0, fmt.Errorf("want a number")
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	if countDigits(mantissa) > maxDigits {
		return "", 0, fmt.Errorf("want a number of at most %d digits", maxDigits)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", 0, fmt.Errorf("want a finite number")
	}
	if f == 0 {
		return "0", 0, nil
	}
	literal := strconv.FormatFloat(f, 'f', -1, 64)
	if countDigits(literal) > maxDigits {
		return "", 0, fmt.Errorf("want a number of at most %d digits", maxDigits)
	}
	return literal, f, nil
}

// countDigits counts significant digits: leading zeros carry nothing.
func countDigits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '1' && s[i] <= '9' || s[i] == '0' && n > 0 {
			n++
		}
	}
	return n
}

// isJSONNumber matches -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func isJSONNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := leadingDigits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if strings.HasPrefix(s, ".") {
		n := leadingDigits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := leadingDigits(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return s == ""
}

func leadingDigits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// isLanguageTag checks the shape of RFC 5646 §2.1: a primary subtag of 2 to 8
// letters, then subtags of 1 to 8 letters or digits.
func isLanguageTag(s string) bool {
	if len(s) > 35 { // RFC 5646 §4.4.1 asks for room for 35
		return false
	}
	for i, sub := range strings.Split(s, "-") {
		if len(sub) < 1 || len(sub) > 8 || i == 0 && len(sub) < 2 {
			return false
		}
		for j := range len(sub) {
			c := sub[j]
			if !isAlphanumeric(c) || i == 0 && c <= '9' {
				return false
			}
		}
	}
	return true
}
