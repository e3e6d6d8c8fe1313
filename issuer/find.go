package issuer

import (
	"context"
	"fmt"

	"github.com/playgate/playgate/playback"
)

// Finder says what the catalogue does not list. It is asked for nothing else.
type Finder interface {
	// Find returns what a playback ID is, nil for one that is to be taken for
	// unknown, or a refusal.
	Find(ctx context.Context, id playback.ID, by playback.Asker) (*playback.Object, error)
	// FindAsset and FindLiveStream make the catalogue list an object's playback
	// IDs, if it has any and they may be asked for.
	FindAsset(ctx context.Context, id playback.AssetID, by playback.Asker) error
	FindLiveStream(ctx context.Context, id playback.LiveStreamID, by playback.Asker) error
}

// asker returns who asks. A viewer that a backend names has a share of the
// backend's; the alias is prefixed with its length, for an ID may hold any
// character.
func (r *Request) asker() playback.Asker {
	by := playback.Asker{Authenticated: r.Backend || r.Viewer.Authenticated, Caller: r.Caller, Backend: r.Backend}
	if r.Backend && r.Viewer.ID != "" {
		by.Viewer = fmt.Sprintf("%d:%s%s", len(r.Viewer.Issuer), r.Viewer.Issuer, r.Viewer.ID)
	}
	return by
}

// find is what resolve does for a playback ID that the catalogue does not list.
func find(ctx context.Context, env *Environment, req *Request) (*playback.Object, error) {
	if env.DenyUnknown {
		return nil, playback.Errorf(playback.CodeUnknownPlaybackID, "There is no such playback ID.").Because(unlisted(req.PlaybackID))
	}
	if env.Finder != nil {
		if object, err := env.Finder.Find(ctx, req.PlaybackID, req.asker()); object != nil || err != nil {
			return object, err
		}
	}
	req.desk.unknown = playback.Unknown(req.PlaybackID)
	return &req.desk.unknown, nil
}

// objectsOf returns the playback IDs of the asset or live stream that the
// request names.
func objectsOf(ctx context.Context, env *Environment, req *Request) ([]*playback.Object, error) {
	list := func() []*playback.Object {
		if req.AssetID != "" {
			return env.Catalogue.ByAsset(req.AssetID)
		}
		return env.Catalogue.ByLiveStream(req.LiveStreamID)
	}
	objects := list()
	if len(objects) > 0 || env.Finder == nil {
		return objects, nil
	}
	var err error
	if req.AssetID != "" {
		err = env.Finder.FindAsset(ctx, req.AssetID, req.asker())
	} else {
		err = env.Finder.FindLiveStream(ctx, req.LiveStreamID, req.asker())
	}
	return list(), err
}
