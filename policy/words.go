package policy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
)

// wordSet is a closed set of texts: all that can stand at a place, or be the
// result of a function. A comparison with any other text has one outcome whoever
// asks, so it is an error of the rule.
type wordSet struct {
	are      string                 // what the words are, for messages
	words    []string               // "" among them where it can be unknown
	reserved func(text string) bool // may come all the same; nil: nothing may
	meant    map[string]string      // what people write instead
	guess    func(text string) string
}

// The closed sets. "" stands for what is not known, as in every text of the rule
// language; only the country has a word of its own for that.
var (
	countryWords = &wordSet{ //nolint:gochecknoglobals // a constant table
		are:   `a two-letter code of ISO 3166-1, or ZZ where it is unknown`,
		words: countryTable.codes, reserved: isReservedCountry, guess: countryMeant,
	}
	policyWords = &wordSet{ //nolint:gochecknoglobals // a constant table
		words: []string{string(playback.PolicyPublic), string(playback.PolicySigned), string(playback.PolicyDRM), ""},
		meant: map[string]string{"private": "signed", "protected": "signed", "secure": "signed", "widevine": "drm", "fairplay": "drm", "open": "public"},
	}
	requestTypeWords = &wordSet{ //nolint:gochecknoglobals // a constant table
		words: append(playback.TokenTypeNames(), ""),
		meant: map[string]string{
			"playback": "video", "stream": "video", "hls": "video", "audio": "video", "image": "thumbnail", "poster": "thumbnail",
			"animated": "gif", "sprite": "storyboard", "drm": "drm_license", "license": "drm_license", "licence": "drm_license",
		},
	}
	grantTypeWords = &wordSet{ //nolint:gochecknoglobals // a constant table
		words: append(words(playback.HeldTypes()), ""),
		meant: map[string]string{"rent": "rental", "tvod": "rental", "svod": "subscription", "buy": "purchase", "bought": "purchase", "est": "purchase", "ppv": "ticket", "event": "ticket"},
	}
	assetStatusWords = &wordSet{ //nolint:gochecknoglobals // a constant table
		words: []string{playback.AssetPreparing, playback.AssetReady, playback.AssetErrored, ""},
		meant: map[string]string{"processing": "preparing", "created": "preparing", "available": "ready", "error": "errored", "failed": "errored"},
	}
	liveStatusWords = &wordSet{ //nolint:gochecknoglobals // a constant table
		words: []string{playback.LiveStreamIdle, playback.LiveStreamActive, playback.LiveStreamDisabled, ""},
		meant: map[string]string{"live": "active", "connected": "active", "recording": "active", "offline": "idle", "inactive": "idle", "ended": "idle", "disable": "disabled"},
	}
	deviceWords = &wordSet{ //nolint:gochecknoglobals // a constant table
		words: []string{deviceBot, deviceConsole, deviceTV, deviceTablet, devicePhone, deviceDesktop, deviceUnknown},
		meant: map[string]string{
			"": deviceUnknown, "mobile": devicePhone, "smartphone": devicePhone, "iphone": devicePhone, "android": devicePhone, "smarttv": deviceTV, "smart_tv": deviceTV, "smart-tv": deviceTV,
			"television": deviceTV, "pc": deviceDesktop, "computer": deviceDesktop, "laptop": deviceDesktop, "web": deviceDesktop, "browser": deviceDesktop, "ipad": deviceTablet,
			"crawler": deviceBot, "spider": deviceBot, "other": deviceUnknown, "playstation": deviceConsole, "xbox": deviceConsole,
		},
	}
)

// wordsAt returns the closed set of what stands at a field, nil if it is open.
func wordsAt(shapeIndex, field int) *wordSet {
	switch {
	case shapeIndex == requestShape && field == requestCountry:
		return countryWords
	case shapeIndex == requestShape && field == requestType:
		return requestTypeWords
	case shapeIndex == playbackShape && field == playbackPolicy:
		return policyWords
	case shapeIndex == assetShape && field == assetStatus:
		return assetStatusWords
	case shapeIndex == liveStreamShape && field == liveStreamStatus:
		return liveStatusWords
	}
	return nil
}

// mayHave reports whether a text may ever stand at a place.
func (p place) mayHave(text string) bool {
	if p.shape == requestShape && p.field == requestIP {
		_, err := netip.ParseAddr(text)
		return err == nil || text == ""
	}
	words := wordsAt(p.shape, p.field)
	return words == nil || words.possible(text)
}

// possible reports whether a text may ever come.
func (s *wordSet) possible(text string) bool {
	return slices.Contains(s.words, text) || s.reserved != nil && s.reserved(text)
}

// list says what the words are.
func (s *wordSet) list() string {
	if s.are != "" {
		return s.are
	}
	named := slices.DeleteFunc(slices.Clone(s.words), func(w string) bool { return w == "" })
	text := strings.Join(named, ", ")
	if i := strings.LastIndex(text, ", "); i >= 0 {
		text = text[:i] + " or " + text[i+2:]
	}
	if len(named) < len(s.words) {
		text += `, or "" where it is unknown`
	}
	return text
}

// suggest returns the word that was probably meant; false if none is near.
func (s *wordSet) suggest(written string) (string, bool) {
	if s.guess != nil {
		word := s.guess(written)
		return word, word != ""
	}
	folded := strings.ToLower(strings.TrimSpace(written))
	if slices.Contains(s.words, folded) {
		return folded, true
	}
	if word := s.meant[folded]; word != "" {
		return word, true
	}
	word := nearest(folded, s.words)
	return word, word != ""
}
