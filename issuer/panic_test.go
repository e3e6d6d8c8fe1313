package issuer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// broken is Tokens that panic for videos and take their time for the rest.
type broken struct{ gate chan struct{} }

func (*broken) Remembered(*playback.Claims, playback.Lifetime, time.Time) (playback.Token, bool) {
	return playback.Token{}, false
}

func (b *broken) Token(_ context.Context, c *playback.Claims, _ playback.Lifetime, _ playback.Turn) (playback.Token, bool, error) {
	if c.Aud == playback.Video.Aud() {
		panic("a bug")
	}
	<-b.gate
	return tokenOf(c), false, nil
}

// Whoever recovers gives the request back for the next one: what is still being
// signed for it would get that one's tokens mixed up.
func TestAPanicLeavesNobodyAtWorkOnTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for kind := range playback.TokenTypes {
			w.rules[kind] = allow(playback.Grant{})
		}
		w.env.Rules = w.rules
		tokens := &broken{gate: make(chan struct{})}
		i := issuer.New(issuer.Config{Keys: w.keys, Tokens: tokens, Now: func() time.Time { return w.now }})
		left := make(chan struct{})
		go func() {
			defer close(left)
			defer func() { _ = recover() }()
			_, _ = i.Issue(t.Context(), &w.env, &issuer.Request{
				PlaybackID: "SIGNED", Types: threeTypes(), Viewer: &playback.Viewer{Issuer: "main", ID: "u1"}, Client: &playback.Client{},
			})
		}()
		synctest.Wait()
		select {
		case <-left:
			t.Error("the request is over while tokens are still signed for it")
		default:
		}
		close(tokens.gate)
		<-left
	})
}
