package playback

// TokenType is a use of a playback ID that Mux signs separately.
type TokenType uint8

// The token types, in the order in which answers list "every type".
const (
	Video TokenType = iota
	Thumbnail
	GIF
	Storyboard
	DRMLicense
	Stats
	StatsAsset
	StatsLiveStream
	StatsVideo
	// TokenTypes counts the types; it is no type itself.
	TokenTypes
)

// tokenTypes holds, per type, the name on the wire and Mux's audience code
// (mux.md §1.3: Secure video playback; Show how many people are watching).
var tokenTypes = [TokenTypes]struct{ name, aud string }{ //nolint:gochecknoglobals // a constant table
	Video:           {"video", "v"},
	Thumbnail:       {"thumbnail", "t"},
	GIF:             {"gif", "g"},
	Storyboard:      {"storyboard", "s"},
	DRMLicense:      {"drm_license", "d"},
	Stats:           {"stats", "playback_id"},
	StatsAsset:      {"stats_asset", "asset_id"},
	StatsLiveStream: {"stats_live_stream", "live_stream_id"},
	StatsVideo:      {"stats_video", "video_id"},
}

// ParseTokenType reads a type's name; "playback" is an alias of "video", as
// in the README of Mux's Node SDK.
func ParseTokenType(name string) (TokenType, bool) {
	if name == "playback" {
		return Video, true
	}
	for t := range TokenTypes {
		if tokenTypes[t].name == name {
			return t, true
		}
	}
	return 0, false
}

// TokenTypeNames returns the names of all types, in their order.
func TokenTypeNames() []string {
	names := make([]string, 0, TokenTypes)
	for t := range TokenTypes {
		names = append(names, t.String())
	}
	return names
}

// String returns the name used in requests, answers and rules.
func (t TokenType) String() string {
	if t >= TokenTypes {
		return "unknown"
	}
	return tokenTypes[t].name
}

// Aud returns the audience code, always a plain string in the token.
func (t TokenType) Aud() string { return tokenTypes[t].aud }

// CountsViewers reports whether a token of this type is for Mux's statistics
// host, which wants a token whatever the policy of the playback ID.
func (t TokenType) CountsViewers() bool {
	switch t {
	case Stats, StatsAsset, StatsLiveStream, StatsVideo:
		return true
	case Video, Thumbnail, GIF, Storyboard, DRMLicense, TokenTypes:
	}
	return false
}

// PlayerAttribute returns the <mux-player> attribute that takes a token of
// this type, or "" for types that no player takes.
func (t TokenType) PlayerAttribute() string {
	switch t {
	case Video:
		return "playback-token"
	case Thumbnail:
		return "thumbnail-token"
	case Storyboard:
		return "storyboard-token"
	case DRMLicense:
		return "drm-token"
	case GIF, Stats, StatsAsset, StatsLiveStream, StatsVideo, TokenTypes:
	}
	return ""
}

// TypeSet is a set of token types.
type TypeSet uint16

// TypesOf returns the set of the given types.
func TypesOf(types ...TokenType) TypeSet {
	var s TypeSet
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

// Has reports whether the set holds t.
func (s TypeSet) Has(t TokenType) bool { return s&(1<<t) != 0 }
