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

// Object is a playback ID and what stands behind it. Immutable.
type Object struct {
	ID         ID
	Policy     Policy
	Known      bool        // false: not in the catalogue, signed without metadata
	Asset      *Asset      // nil: none known
	LiveStream *LiveStream // nil: none known
	Memo       *Memo       // optional; see Memo
}

// Unknown returns the object of a playback ID that the catalogue does not
// hold: assumed signed, with no metadata.
func Unknown(id ID) Object { return Object{ID: id, Policy: PolicySigned} }

// Public reports whether the playback ID needs no token; Mux refuses a token
// on it.
func (o *Object) Public() bool { return o.Policy == PolicyPublic }

// Subject returns the token's `sub` for a type: the playback ID, or the asset
// or live stream whose viewers are counted; false if there is none.
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
	case DRMLicense:
		return string(o.ID), !o.Public()
	case Video, Thumbnail, GIF, Storyboard, Stats:
		return string(o.ID), true
	case TokenTypes:
	}
	return "", false
}
