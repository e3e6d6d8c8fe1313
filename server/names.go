package server

import (
	"slices"

	"github.com/playgate/playgate/playback"
)

// names are those that the members of an object, or the parameters of a query,
// may have.
type names []string

// The members of request bodies. Each object's are read by a function of its
// own, which refuses others by unknown.
var (
	orderNames     = names{"playback_id", "asset_id", "live_stream_id", "video_id", "types", "params", "min_ttl", "session_id", "viewer", "custom"} //nolint:gochecknoglobals // a constant table
	viewerNames    = names{"issuer", "id", "claims", "ip", "country", "region", "asn", "referrer", "origin", "user_agent"}                          //nolint:gochecknoglobals // a constant table
	batchNames     = names{"requests"}                                                                                                              //nolint:gochecknoglobals // a constant table
	grantNames     = names{"viewer", "type", "scope", "from", "until", "play_within", "attributes", "id", "first_play", "created_at", "updated_at"} //nolint:gochecknoglobals // a constant table
	ownerNames     = names{"issuer", "id"}                                                                                                          //nolint:gochecknoglobals // a constant table
	deletionNames  = names{"force", "reason"}                                                                                                       //nolint:gochecknoglobals // a constant table
	promotionNames = names{"revision"}                                                                                                              //nolint:gochecknoglobals // a constant table
)

func (n names) has(name string) bool { return slices.Contains(n, name) }

// unknown is the refusal of a member that is none of these.
func (n names) unknown(path, name string) *playback.Error {
	return fieldError(join(path, name), "is not known"+playback.DidYouMean(name, n))
}

func scopeNames() names {
	var n names
	for _, kind := range playback.ScopeKinds() {
		n = append(n, string(kind))
	}
	return n
}
