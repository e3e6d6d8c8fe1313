package issuer_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// journal keeps what it is given, in the words of a test.
type journal struct {
	kept  []string
	spare string // the rule whose decisions to allow it does not want
}

func (j *journal) Wants(_ playback.EnvironmentID, rule string, allowed bool) bool {
	return !allowed || rule != j.spare
}

func (j *journal) Keep(d *playback.Decided) {
	line := d.RequestID + " " + d.Question.Type.String() + " " + string(d.Question.Object.ID) + " rule=" + d.Rule + " code=" + string(d.Code) + " key=" + string(d.Key)
	if d.Exp > 0 {
		line += " until the end of its " + d.Bound
	}
	j.kept = append(j.kept, line)
}

func (w *world) journaled(req issuer.Request, j *journal) {
	w.env.Rules, req.RequestID = w.rules, "r1"
	req.Viewer, req.Client = &playback.Viewer{}, &playback.Client{}
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Journal: j, Now: func() time.Time { return w.now }})
	_, _ = i.Issue(context.Background(), &w.env, &req)
}

func TestEveryDecisionIsJournaledOnce(t *testing.T) {
	t.Parallel()
	both := []playback.TokenType{playback.Video, playback.Thumbnail}
	for name, c := range map[string]struct {
		req   issuer.Request
		deny  []playback.TokenType
		spare string
		want  []string
	}{
		"tokens": {
			issuer.Request{PlaybackID: "SIGNED", Types: both},
			nil, "",
			[]string{
				"r1 video SIGNED rule=all code= key=K1 until the end of its rule",
				"r1 thumbnail SIGNED rule=all code= key=K1 until the end of its rule",
			},
		},
		"a public playback ID":   {issuer.Request{PlaybackID: "PUBLIC", Types: both[:1]}, nil, "", []string{"r1 video PUBLIC rule=all code= key="}},
		"a refusal, by its type": {issuer.Request{PlaybackID: "SIGNED", Types: both}, both[1:], "", []string{"r1 thumbnail SIGNED rule=ban code=banned key="}},
		"every type that is granted": {
			issuer.Request{PlaybackID: "OPEN", All: true},
			[]playback.TokenType{playback.Thumbnail, playback.GIF, playback.Storyboard, playback.Stats},
			"",
			[]string{"r1 video OPEN rule=all code= key=", "r1 stats_asset OPEN rule=all code= key=K1 until the end of its rule"},
		},
		"what the rules allow and the status does not": {
			issuer.Request{PlaybackID: "PREPARING", Types: both[:1]}, nil, "", []string{"r1 video PREPARING rule=all code=asset_not_ready key="},
		},
		"what cannot live long enough": {
			issuer.Request{PlaybackID: "SIGNED", Types: both[:1], MinTTL: 48 * time.Hour}, nil, "", []string{"r1 video SIGNED rule=all code=min_ttl_too_long key="},
		},
		"what is refused before the rules are asked": {
			issuer.Request{PlaybackID: "PUBLIC", Types: []playback.TokenType{playback.DRMLicense}}, nil, "", nil,
		},
		"what is not wanted": {issuer.Request{PlaybackID: "SIGNED", Types: both}, nil, "all", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, j := newWorld(), &journal{spare: c.spare}
			for kind := range playback.TokenTypes {
				d := w.rules[kind]
				d.Rule = "all"
				w.rules[kind] = d
			}
			for _, kind := range c.deny {
				w.rules[kind] = playback.Decision{Rule: "ban", Refusal: playback.Denied("banned")}
			}
			w.journaled(c.req, j)
			if diff := cmp.Diff(c.want, j.kept); diff != "" {
				t.Errorf("journal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnExplanationHasNoEffects(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.env.Rules, w.env.Revision = w.rules, "0123456789ab"
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Ledger: w.ledger, Journal: &journal{}, Now: func() time.Time { return w.now }})
	explain := func(req issuer.Request) *issuer.Explanation {
		req.Viewer, req.Client = &playback.Viewer{}, &playback.Client{}
		x, err := i.Explain(context.Background(), &w.env, &req)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := explain(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video, playback.Storyboard}})
	if x.Refusal != nil || x.Plan == nil || x.Plan.Key != "K1" || x.Plan.Bound != issuer.BoundRule || len(x.Types) != 2 {
		t.Errorf("Explain = %+v, want a plan", x)
	}
	answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video}})
	if err != nil || answer.Lifetime != x.Plan.Lifetime {
		t.Errorf("Issue = %+v, %v, want the lifetime that was explained, %+v", answer, err, x.Plan.Lifetime)
	}
	clear(w.ledger)
	if x := explain(issuer.Request{PlaybackID: "PREPARING", Types: []playback.TokenType{playback.Video}}); x.Refusal == nil || x.Refusal.Code != playback.CodeAssetNotReady {
		t.Errorf("Explain = %+v, want asset_not_ready", x.Refusal)
	}
	if x := explain(issuer.Request{PlaybackID: "PUBLIC", Types: []playback.TokenType{playback.Video}}); x.Refusal != nil || x.Plan != nil {
		t.Errorf("Explain = %+v, want no plan for a public playback ID", x)
	}
	if len(w.ledger) > 0 {
		t.Errorf("the ledger has %v, want nothing", w.ledger)
	}
	for _, req := range []issuer.Request{
		{AssetID: "A9", Types: []playback.TokenType{playback.Video}},
		{PlaybackID: "PUBLIC", Types: []playback.TokenType{playback.DRMLicense}},
	} {
		if _, err := i.Explain(context.Background(), &w.env, &req); err == nil {
			t.Errorf("Explain(%+v) = nil, want what Issue says before the rules", req.AssetID)
		}
	}
}

// answering answers for the store.
type answering struct{ err error }

func (h answering) Held(ctx context.Context, env playback.EnvironmentID, q *playback.Question) ([]playback.Held, error) {
	return h.InForce(ctx, env, q)
}

func (h answering) InForce(context.Context, playback.EnvironmentID, *playback.Question) ([]playback.Held, error) {
	return []playback.Held{{ID: "g", Type: playback.HeldTicket}}, h.err
}

func (answering) Start(context.Context, playback.EnvironmentID, string, time.Time) (time.Time, bool, error) {
	return time.Time{}, true, nil
}

// reading is rules that allow everybody, with a shadow beside them; each may read
// what the viewer holds.
type reading struct {
	rules

	own, shadow bool
}

func (r reading) Decide(q *playback.Question) playback.Decision {
	var err error
	if r.own {
		_, err = q.Entitlements.ReadEntitlements(true)
	}
	if r.shadow {
		_, _ = q.Entitlements.ReadEntitlements(false) // counted as skipped
	}
	if err != nil {
		return playback.Decision{Undecided: err, Refusal: playback.Denied("undecided")}
	}
	return r.rules.Decide(q)
}

// unreads keeps what was not looked up.
type unreads struct{ got [][]string }

func (*unreads) Wants(playback.EnvironmentID, string, bool) bool { return true }
func (u *unreads) Keep(d *playback.Decided)                      { u.got = append(u.got, d.Unread) }

// TestWhatOnlyAShadowReadsRefusesNobody, and what nobody looked up is noted.
func TestWhatOnlyAShadowReadsRefusesNobody(t *testing.T) {
	t.Parallel()
	away := playback.Errorf(playback.CodeDependencyUnavailable, "The store does not answer.")
	for name, c := range map[string]struct {
		own, shadow, place, backend bool
		early                       bool // the rules decide before they come to what the viewer holds
		err                         error
		want                        []string
		refused                     bool
	}{
		"nobody reads grants":              {want: []string{"place", "grants"}},
		"a backend says where":             {backend: true, want: []string{"grants"}},
		"the place is read":                {place: true, want: []string{"grants"}},
		"the rules read grants":            {own: true, want: []string{"place"}},
		"the rules do not come to grants":  {own: true, early: true, want: []string{"place", "grants"}},
		"nor with the store away":          {own: true, early: true, err: away, want: []string{"place", "grants"}},
		"a shadow reads grants":            {shadow: true, want: []string{"place"}},
		"a shadow, and the store is away":  {shadow: true, err: away, want: []string{"place", "grants"}},
		"the rules, and the store is away": {own: true, shadow: true, err: away, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, u := newWorld(), &unreads{}
			w.env.Rules = reading{w.rules, c.own && !c.early, c.shadow}
			w.env.ReadsGrants, w.env.ShadowReadsGrants, w.env.ReadsPlace = c.own, c.shadow, c.place
			i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Journal: u, Grants: answering{c.err}, Now: func() time.Time { return w.now }})
			_, err := i.Issue(context.Background(), &w.env, &issuer.Request{
				PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video}, Backend: c.backend, Viewer: &playback.Viewer{}, Client: &playback.Client{},
			})
			if (err != nil) != c.refused || !c.refused && !cmp.Equal(u.got, [][]string{c.want}) {
				t.Errorf("Issue = %v, not looked up %q, want %q", err, u.got, c.want)
			}
		})
	}
}
