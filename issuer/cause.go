package issuer

import (
	"fmt"
	"strings"

	"github.com/playgate/playgate/playback"
)

// Causes say in the log, and to operators who ask for an explanation, what a
// refusal does not tell its viewer.

// because adds to a refusal the rule that it comes from; one that has a cause
// keeps it.
func because(refusal *playback.Error, rule string) *playback.Error {
	if refusal == nil || rule == "" || refusal.Err != nil {
		return refusal
	}
	return refusal.Because(fmt.Errorf("rule %s: %s", rule, refusal.Message))
}

// unlisted says that the catalogue has no such playback ID, where that counts.
func unlisted(id playback.ID) error {
	return fmt.Errorf("playback ID %s is not in the catalogue, and catalog.unknown is deny", id)
}

// unchosen says why no playback ID of an asset or live stream can be chosen.
func unchosen(req *Request, objects []*playback.Object) error {
	name := "asset " + string(req.AssetID)
	if req.AssetID == "" {
		name = "live stream " + string(req.LiveStreamID)
	}
	if len(objects) == 0 {
		return fmt.Errorf("the catalogue has no playback ID of %s", name)
	}
	var ids []string
	for _, o := range objects {
		ids = append(ids, fmt.Sprintf("%s (%s)", o.ID, o.Policy))
	}
	return fmt.Errorf("the playback IDs of %s are %s", name, strings.Join(ids, ", "))
}

func assetIs(a *playback.Asset) error {
	return fmt.Errorf("asset %s is %s", a.ID, a.Status)
}

func liveStreamIs(l *playback.LiveStream) error {
	return fmt.Errorf("live stream %s is %s", l.ID, l.Status)
}

// ungrantedFile says which files a rule grants.
func ungrantedFile(g *granted, file string) error {
	return fmt.Errorf("rule %s grants the renditions %q, not %s", g.rule, g.grant.Renditions, file)
}

// behind says what the catalogue knows to be behind a playback ID.
func behind(o *playback.Object) error {
	what := "neither an asset nor a live stream"
	switch {
	case o.LiveStream != nil:
		what = "live stream " + string(o.LiveStream.ID)
	case o.Asset != nil:
		what = "asset " + string(o.Asset.ID)
	}
	return fmt.Errorf("the catalogue knows %s behind playback ID %s", what, o.ID)
}
