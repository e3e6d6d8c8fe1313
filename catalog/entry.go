package catalog

import (
	"time"

	"github.com/playgate/playgate/playback"
)

// Entry is what a configuration says of one playback ID.
type Entry struct {
	ID         playback.ID
	Policy     playback.Policy
	Asset      *Asset      // nil: none named
	LiveStream *LiveStream // nil: none named
}

// Asset is what one entry says of an asset. A nil field is left to the other
// entries that name the same asset; if none gives it, it is unknown.
type Asset struct {
	ID          playback.AssetID
	Duration    *float64 // seconds
	Status      *string
	Passthrough *string
	Meta        map[string]any
	CreatedAt   *time.Time
}

// LiveStream is what one entry says of a live stream, like Asset.
type LiveStream struct {
	ID     playback.LiveStreamID
	Status *string
}
