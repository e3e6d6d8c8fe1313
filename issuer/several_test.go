package issuer_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

func threeTypes() []playback.TokenType {
	return []playback.TokenType{playback.Video, playback.Thumbnail, playback.Storyboard}
}

func TestOfSeveralTokensThoseThatAreMissingAreSigned(t *testing.T) {
	t.Parallel()
	for _, hits := range []map[string]bool{
		{}, {"v": true}, {"t": true}, {"s": true}, {"v": true, "s": true}, {"v": true, "t": true, "s": true},
	} {
		w := newWorld()
		w.mint.hits = hits
		for _, kind := range threeTypes() {
			w.rules[kind] = allow(playback.Grant{})
		}
		answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: threeTypes(), Caller: "u1"})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(w.mint.turns); got != 3-len(hits) || answer.Hit != (got == 0) {
			t.Errorf("%v remembered: %d were to be signed, Hit %v", hits, got, answer.Hit)
		}
		for n, kind := range threeTypes() {
			want := tokenOf(&playback.Claims{Sub: "SIGNED", Aud: kind.Aud(), Exp: answer.Lifetime.Exp})
			if item := answer.Items[n]; item.Type != kind || item.Token != want {
				t.Errorf("%v remembered: item %d is not the %s token", hits, n, kind)
			}
		}
	}
}

func TestARequestOnLentMemoryIsAsGoodAsAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for kind := range playback.TokenTypes {
		w.rules[kind] = allow(playback.Grant{})
	}
	w.rules[playback.Thumbnail] = allow(playback.Grant{RestrictionID: "RESTRICTED"})
	w.env.Rules = w.rules
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Now: func() time.Time { return w.now }})
	ask := func(r *issuer.Request, types []playback.TokenType, all bool) issuer.Answer {
		t.Helper()
		r.PlaybackID, r.Types, r.All = "SIGNED", types, all
		r.Viewer, r.Client = &playback.Viewer{Issuer: "main", ID: "u1"}, &playback.Client{}
		answer, err := i.Issue(context.Background(), &w.env, r)
		if err != nil {
			t.Fatal(err)
		}
		return *answer
	}
	var used issuer.Request
	for _, step := range []struct {
		types []playback.TokenType
		all   bool
	}{
		{threeTypes(), false}, {video(), false}, {nil, true}, {threeTypes()[1:], false}, {video(), false}, {threeTypes(), false},
	} {
		want := ask(new(issuer.Request), step.types, step.all)
		if diff := cmp.Diff(want, ask(&used, step.types, step.all), cmp.Comparer(func(a, b playback.Token) bool { return a == b })); diff != "" {
			t.Errorf("%v, all %v (-own +lent):\n%s", step.types, step.all, diff)
		}
		space := used.Workspace()
		used = issuer.Request{}
		used.Lend(space)
	}
}
