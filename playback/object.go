package playback

import "time"

// Policy is a playback ID's policy at Mux.
type Policy string

// The policies. DRM counts as signed wherever a token is concerned.
const (
	PolicyPublic Policy = "public"
	PolicySigned Policy = "signed"
	PolicyDRM    Policy = "drm"
)

// Status values that matter to minting; Mux has more.
const (
	AssetPreparing     = "preparing"
	AssetReady         = "ready"
	AssetErrored       = "errored"
	LiveStreamIdle     = "idle"
	LiveStreamActive   = "active"
	LiveStreamDisabled = "disabled"
)

// Asset is what is known of a Mux asset. Immutable.
type Asset struct {
	ID          AssetID
	Duration    float64 // seconds, 0 unknown
	Status      string  // "" unknown: refuses nothing
	Passthrough string
	Meta        map[string]any
	CreatedAt   time.Time // zero unknown
	// LiveStreamID is the live stream that the asset is a recording of, "" none
	// known: a right to the stream may be one to its recordings.
	LiveStreamID LiveStreamID
}

// LiveStream is what is known of a Mux live stream. Immutable.
type LiveStream struct {
	ID     LiveStreamID
	Status string // "" unknown
}

// Object is a playback ID and what stands behind it, or a Mux Data video ID,
// which has neither a playback ID nor a policy. Immutable.
type Object struct {
	ID         ID
	Policy     Policy
	Known      bool        // false: not in the catalogue, signed without metadata
	Asset      *Asset      // nil: none known
	LiveStream *LiveStream // nil: none known
	// VideoID is the Mux Data video whose viewers are counted; the other fields
	// are zero then. Rules do not see it.
	VideoID VideoID
	Memo    *Memo // optional; see Memo
}

// Unknown returns the object of a playback ID that the catalogue does not
// hold: assumed signed, with no metadata.
func Unknown(id ID) Object { return Object{ID: id, Policy: PolicySigned} }

// Public reports whether the playback ID plays without a token.
func (o *Object) Public() bool { return o.Policy == PolicyPublic }

// NeedsToken reports whether Mux wants a token for a use of the object. It
// refuses one on a public playback ID, except for statistics (mux.md §1.6;
// contract §4).
func (o *Object) NeedsToken(t TokenType) bool { return !o.Public() || t.CountsViewers() }

// Subject returns the token's `sub` for a type: the playback ID, or what the
// viewers are counted of; false if the object has no such token.
func (o *Object) Subject(t TokenType) (string, bool) {
	switch t {
	case StatsAsset:
		if o.Asset == nil {
			return "", false
		}
		return string(o.Asset.ID), true
	case StatsLiveStream:
		if o.LiveStream == nil {
			return "", false
		}
		return string(o.LiveStream.ID), true
	case StatsVideo:
		return string(o.VideoID), o.VideoID != ""
	case DRMLicense:
		return string(o.ID), o.ID != "" && !o.withoutDRM()
	case Video, Thumbnail, GIF, Storyboard, Stats:
		return string(o.ID), o.ID != ""
	case TokenTypes:
	}
	return "", false
}

// withoutDRM reports whether the playback ID is known to have no DRM. One that
// the catalogue does not hold may have.
func (o *Object) withoutDRM() bool {
	return o.Public() || o.Known && o.Policy == PolicySigned
}

// HasStaticRenditions reports whether MP4 and M4A files can be had through the
// playback ID. A drm one has none: they would be unprotected (mux.md §5).
func (o *Object) HasStaticRenditions() bool { return o.Policy != PolicyDRM }

// PhaseID returns the ID whose hash places the object's expiry times on the
// grid; see Schedule.
func (o *Object) PhaseID() ID {
	if o.VideoID != "" {
		return ID(o.VideoID)
	}
	return o.ID
}
