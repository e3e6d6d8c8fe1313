package muxsim

import "strings"

// The identifiers are Mux's, declared here and not taken from package playback:
// the edge shares no code with what it judges.
type (
	// ID is a playback ID.
	ID string
	// AssetID names an asset.
	AssetID string
	// LiveStreamID names a live stream.
	LiveStreamID string
	// KeyID names a signing key.
	KeyID string
	// EnvironmentID names an environment.
	EnvironmentID string
	// RestrictionID names a playback restriction.
	RestrictionID string
	// Policy is a playback ID's policy.
	Policy string
)

// The policies (mux.md §5).
const (
	Public Policy = "public"
	Signed Policy = "signed"
	DRM    Policy = "drm"
)

// The states in which an asset or a live stream plays; in others it is 412.
const (
	AssetReady       = "ready"
	LiveStreamActive = "active"
)

// Valid reports whether the ID is 1 to 255 letters and digits: all samples are
// (mux.md §5).
func (id ID) Valid() bool {
	return consists(string(id), 255, "")
}

// Valid reports whether the ID is 1 to 128 letters, digits, underscores and
// hyphens, as the gateway's key IDs are.
func (id KeyID) Valid() bool { return consists(string(id), 128, "_-") }

// isVideoID reports whether a text may be a video ID of Mux Data: 1 to 255
// visible ASCII characters.
func isVideoID(text string) bool {
	invisible := func(c rune) bool { return c <= ' ' || c > '~' }
	return text != "" && len(text) <= 255 && !strings.ContainsFunc(text, invisible)
}

func consists(text string, most int, more string) bool {
	if text == "" || len(text) > most {
		return false
	}
	for _, c := range text {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune(more, c) {
			return false
		}
	}
	return true
}
