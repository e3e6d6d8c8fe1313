package issuer_test

import (
	"context"
	"testing"
	"time"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// asked is a finder that must not be asked.
type asked struct{ t *testing.T }

func (a asked) Find(context.Context, playback.ID, playback.Asker) (*playback.Object, error) {
	a.t.Error("Find was asked")
	return nil, nil
}

func (a asked) FindAsset(context.Context, playback.AssetID, playback.Asker) error {
	a.t.Error("FindAsset was asked")
	return nil
}

func (a asked) FindLiveStream(context.Context, playback.LiveStreamID, playback.Asker) error {
	a.t.Error("FindLiveStream was asked")
	return nil
}

func TestExplainLooksNothingUpAtMux(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.env.Rules, w.env.Finder = w.rules, asked{t}
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Now: func() time.Time { return w.now }})
	for _, req := range []issuer.Request{{PlaybackID: "NEW"}, {AssetID: "NEW"}, {LiveStreamID: "NEW"}} {
		req.Types, req.Viewer, req.Client = []playback.TokenType{playback.Video}, &playback.Viewer{}, &playback.Client{}
		x, err := i.Explain(context.Background(), &w.env, &req)
		if req.PlaybackID != "" && (err != nil || x.Object.Known) {
			t.Errorf("Explain = %+v, %v, want what is said of an ID that nobody knows", x, err)
		}
	}
}
