package issuer_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// holder is a store of rights: one viewer's, and when each was first used.
type holder struct {
	held    []playback.Held
	started map[string]time.Time
	starts  int
	asked   int
	gone    bool
	down    error
}

func (h *holder) InForce(_ context.Context, _ playback.EnvironmentID, q *playback.Question) (out []playback.Held, _ error) {
	h.asked++
	for _, right := range h.held {
		right.FirstPlay = h.started[right.ID]
		if right.InForce(q.Now) {
			out = append(out, right)
		}
	}
	return out, h.down
}

func (h *holder) Held(context.Context, playback.EnvironmentID, *playback.Question) (out []playback.Held, _ error) {
	h.asked++
	for _, right := range h.held {
		right.FirstPlay = h.started[right.ID]
		out = append(out, right)
	}
	return out, h.down
}

func (h *holder) Start(_ context.Context, _ playback.EnvironmentID, id string, now time.Time) (time.Time, bool, error) {
	h.starts++
	if _, ok := h.started[id]; !ok {
		h.started[id] = now.Truncate(time.Second)
	}
	return h.started[id], h.gone, h.down
}

// resting decides as the rules do whose every allow rests on all rights, and
// reads none for what they deny.
type resting struct{ rules }

func (r resting) Decide(q *playback.Question) playback.Decision {
	d := r.rules[q.Type]
	if d.Grant == nil {
		return d
	}
	held := q.Grants
	if q.Entitlements != nil {
		var err error
		if held, err = q.Entitlements.ReadEntitlements(true); err != nil {
			return playback.Decision{Undecided: err, Refusal: playback.Denied("undecided")}
		}
	}
	if len(held) == 0 {
		return deny(playback.CodeNoMatchingRule)
	}
	d.Held = held
	return d
}

// issueHeld asks an environment whose rules read what viewers hold.
func (w *world) issueHeld(h *holder, req issuer.Request) (*issuer.Answer, error) {
	w.env.Rules, w.env.ReadsGrants = resting{w.rules}, true
	if req.Viewer == nil {
		req.Viewer = &playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true}
	}
	req.Client = &playback.Client{}
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Ledger: w.ledger, Grants: h, Now: func() time.Time { return w.now }})
	return i.Issue(context.Background(), &w.env, &req)
}

func rental(within time.Duration) playback.Held {
	return playback.Held{ID: "g1", Type: playback.HeldRental, Scope: playback.Scope{Kind: playback.ScopeAll}, PlayWithin: within}
}

// TestTheFirstEndWins is the planner: every end that a token can have, alone and
// against another.
func TestTheFirstEndWins(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 500)
	in := func(d time.Duration) time.Time { return now.Truncate(time.Second).Add(d) }
	exp := func(d time.Duration) map[string]any { return map[string]any{"exp": float64(in(d).Unix())} }
	for _, c := range []struct {
		name   string
		grant  playback.Grant
		held   []playback.Held
		until  time.Time
		claims map[string]any
		bound  issuer.Bound
		end    time.Duration // 0: on the grid
	}{
		{name: "nothing but the ttl", grant: playback.Grant{TTL: time.Hour}, bound: issuer.BoundRule},
		{name: "the duration", grant: playback.Grant{TTL: time.Minute, CoverDuration: true}, bound: issuer.BoundRule},
		{name: "max_ttl", grant: playback.Grant{TTL: 24 * time.Hour}, bound: issuer.BoundMaxTTL},
		{name: "max_ttl, by the duration", grant: playback.Grant{TTL: 69119 * time.Second, CoverDuration: true}, bound: issuer.BoundMaxTTL},
		{name: "a subscription", grant: playback.Grant{TTL: time.Hour}, held: []playback.Held{{ID: "s", Until: in(20 * time.Minute)}}, bound: issuer.BoundGrant, end: 20 * time.Minute},
		{name: "a subscription that lasts", grant: playback.Grant{TTL: time.Hour}, held: []playback.Held{{ID: "s", Until: in(20 * time.Hour)}}, bound: issuer.BoundRule},
		{name: "a rental that begins", grant: playback.Grant{TTL: time.Hour}, held: []playback.Held{rental(30 * time.Minute)}, bound: issuer.BoundRental, end: 30 * time.Minute},
		{
			name: "a rental that must end before its time is over", grant: playback.Grant{TTL: time.Hour},
			held:  []playback.Held{{ID: "g1", PlayWithin: 30 * time.Minute, Until: in(10 * time.Minute)}},
			bound: issuer.BoundGrant, end: 10 * time.Minute,
		},
		{
			name: "the first of two rights", grant: playback.Grant{TTL: time.Hour}, bound: issuer.BoundGrant, end: 5 * time.Minute,
			held: []playback.Held{{ID: "a", Until: in(10 * time.Minute)}, {ID: "b", Until: in(5 * time.Minute)}, {ID: "c"}},
		},
		{name: "a window", grant: playback.Grant{TTL: time.Hour}, until: in(7 * time.Minute), bound: issuer.BoundWindow, end: 7 * time.Minute},
		{name: "the session", grant: playback.Grant{TTL: time.Hour, BoundToSession: true}, claims: exp(3 * time.Minute), bound: issuer.BoundSession, end: 3 * time.Minute},
		{name: "a session that lasts", grant: playback.Grant{TTL: time.Hour, BoundToSession: true}, claims: exp(30 * time.Hour), bound: issuer.BoundRule},
		{name: "no session to be bound to", grant: playback.Grant{TTL: time.Hour, BoundToSession: true}, bound: issuer.BoundRule},
		{name: "a session that nobody is bound to", grant: playback.Grant{TTL: time.Hour}, claims: exp(3 * time.Minute), bound: issuer.BoundRule},
		{
			name: "all at once", grant: playback.Grant{TTL: time.Hour, BoundToSession: true}, claims: exp(9 * time.Minute), until: in(8 * time.Minute),
			held: []playback.Held{{ID: "s", Until: in(20 * time.Minute)}}, bound: issuer.BoundWindow, end: 8 * time.Minute,
		},
	} {
		w := newWorld()
		w.now = now
		d := allow(c.grant)
		d.Until, d.Held = c.until, c.held
		w.rules[playback.Video] = d
		h := &holder{started: map[string]time.Time{}}
		w.env.Rules = w.rules
		i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Grants: h, Now: func() time.Time { return w.now }})
		answer, err := i.Issue(context.Background(), &w.env, &issuer.Request{
			PlaybackID: "SIGNED", Types: video(), Client: &playback.Client{}, Viewer: &playback.Viewer{ID: "u1", Claims: c.claims},
		})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if answer.Bound != c.bound || answer.Lifetime.Cut != (c.end > 0) || w.mint.claims[0].Exp != answer.Lifetime.Exp {
			t.Errorf("%s: bound %s, lifetime %+v, want %s", c.name, answer.Bound, answer.Lifetime, c.bound)
		}
		if c.end > 0 && answer.Lifetime.Exp != in(c.end).Unix() {
			t.Errorf("%s: exp in %ds, want %s", c.name, answer.Lifetime.Exp-now.Unix(), c.end)
		}
	}
}

func TestMinTTLBeyondTheEndIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := &holder{held: []playback.Held{rental(30 * time.Minute)}, started: map[string]time.Time{}}
	req := issuer.Request{PlaybackID: "SIGNED", Types: video(), MinTTL: 31 * time.Minute}
	if _, err := w.issueHeld(h, req); !errors.Is(err, playback.CodeMinTTLTooLong) || h.starts > 0 || len(w.mint.claims) > 0 {
		t.Errorf("Issue = %v; %d starts, %d signatures", err, h.starts, len(w.mint.claims))
	}
}

func TestASessionThatHasEndedInItsLeeway(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.rules[playback.Video] = allow(playback.Grant{BoundToSession: true})
	viewer := &playback.Viewer{ID: "u1", Claims: map[string]any{"exp": float64(w.now.Unix())}}
	if _, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: video(), Viewer: viewer}); !errors.Is(err, playback.CodeExpiredCredentials) {
		t.Errorf("Issue = %v", err)
	}
}

// TestTheFirstPlay: what begins a rental, and what does not.
func TestTheFirstPlay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		req    issuer.Request
		begins bool
	}{
		{"video", issuer.Request{PlaybackID: "SIGNED", Types: video()}, true},
		{"a licence", issuer.Request{PlaybackID: "DRM", Types: []playback.TokenType{playback.DRMLicense}}, true},
		{"among others", issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Thumbnail, playback.Video}}, true},
		{"everything", issuer.Request{PlaybackID: "SIGNED", All: true}, true},
		{"pictures", issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Thumbnail, playback.GIF, playback.Storyboard}}, false},
		{"counts", issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Stats}}, false},
		{"HEAD", issuer.Request{PlaybackID: "SIGNED", Types: video(), Passive: true}, false},
		{"what needs no token", issuer.Request{PlaybackID: "PUBLIC", Types: video()}, false},
		{"a refusal", issuer.Request{PlaybackID: "PREPARING", Types: video()}, false},
	} {
		w := newWorld()
		h := &holder{held: []playback.Held{rental(30 * time.Minute)}, started: map[string]time.Time{}}
		answer, err := w.issueHeld(h, c.req)
		if got := h.starts > 0; got != c.begins {
			t.Errorf("%s: begins %v, %v", c.name, got, err)
		}
		if err == nil && answer.Withheld != c.req.Passive {
			t.Errorf("%s: withheld %v", c.name, answer.Withheld)
		}
		if err == nil && !answer.Object.Public() && answer.Lifetime.Cut != c.begins {
			t.Errorf("%s: %+v", c.name, answer.Lifetime)
		}
	}
}

// TestARentalHasOneWindow, however often it is asked for, and then is over.
func TestARentalHasOneWindow(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := &holder{held: []playback.Held{rental(2 * time.Hour)}, started: map[string]time.Time{}}
	end := w.now.Add(2 * time.Hour)
	for range 8 {
		answer, err := w.issueHeld(h, issuer.Request{PlaybackID: "SIGNED", Types: video()})
		if err != nil || answer.Lifetime.Exp > end.Unix() {
			t.Fatalf("at %s: %+v, %v", w.now, answer, err)
		}
		w.now = w.now.Add(15*time.Minute - time.Nanosecond)
	}
	w.now = end
	if _, err := w.issueHeld(h, issuer.Request{PlaybackID: "SIGNED", Types: video()}); !errors.Is(err, playback.CodeNoMatchingRule) {
		t.Errorf("after two hours: %v", err)
	}
	if h.starts != 1 {
		t.Errorf("begun %d times", h.starts)
	}
}

// TestARentalThatHadBegunElsewhere: another replica was first, so what was signed
// here for a window that begins now is handed out to nobody.
func TestARentalThatHadBegunElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := &elsewhere{holder{held: []playback.Held{rental(time.Hour)}, started: map[string]time.Time{}}}
	h.started["g1"] = w.now.Add(-50 * time.Minute)
	w.env.Rules, w.env.ReadsGrants = resting{w.rules}, true
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Ledger: w.ledger, Grants: h, Now: func() time.Time { return w.now }})
	answer, err := i.Issue(context.Background(), &w.env, &issuer.Request{
		PlaybackID: "SIGNED", Types: video(), Viewer: &playback.Viewer{ID: "u1"}, Client: &playback.Client{},
	})
	want := w.now.Add(10 * time.Minute).Unix()
	if err != nil || answer.Lifetime.Exp != want || answer.Bound != issuer.BoundRental {
		t.Fatalf("Issue = %+v, %v, want exp %d", answer, err, want)
	}
	if got := answer.Items[0].Token.Reveal(); got != "SIGNED|v|"+strconv.FormatInt(want, 10) {
		t.Errorf("the token is %s", got)
	}
	if diff := cmp.Diff(ledger{"K1": want}, w.ledger); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	h.started["g1"] = w.now.Add(-time.Hour)
	if _, err := i.Issue(context.Background(), &w.env, &issuer.Request{
		PlaybackID: "SIGNED", Types: video(), Viewer: &playback.Viewer{ID: "u1"}, Client: &playback.Client{},
	}); !errors.Is(err, playback.CodeNoMatchingRule) {
		t.Errorf("a rental that was over elsewhere: %v", err)
	}
}

// elsewhere is a store that a replica reads just before another one writes.
type elsewhere struct{ holder }

func (h *elsewhere) InForce(context.Context, playback.EnvironmentID, *playback.Question) ([]playback.Held, error) {
	return h.held, nil
}

// TestNothingBeginsThatIsNotHandedOut: no key, no store, no grant.
func TestNothingBeginsThatIsNotHandedOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault func(*world, *holder)
		want  playback.Code
	}{
		{"no key", func(w *world, _ *holder) { w.keys.id = "" }, playback.CodeNoActiveKey},
		{"the store is down", func(_ *world, h *holder) {
			h.down = playback.Errorf(playback.CodeDependencyUnavailable, "down")
		}, playback.CodeDependencyUnavailable},
		{"the grant is deleted meanwhile", func(_ *world, h *holder) { h.gone = true }, playback.CodeNoMatchingRule},
	} {
		w := newWorld()
		h := &holder{held: []playback.Held{rental(time.Hour)}, started: map[string]time.Time{}}
		c.fault(w, h)
		if answer, err := w.issueHeld(h, issuer.Request{PlaybackID: "SIGNED", Types: video()}); !errors.Is(err, c.want) || answer != nil {
			t.Errorf("%s: %v, %v", c.name, answer, err)
		}
		if len(w.ledger) > 0 || c.name == "no key" && h.starts > 0 {
			t.Errorf("%s: ledger %v, %d starts", c.name, w.ledger, h.starts)
		}
	}
}

func TestTheStoreIsAskedOncePerRequestAndOnlyIfTheRulesRead(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := &holder{held: []playback.Held{{ID: "s"}}}
	if _, err := w.issueHeld(h, issuer.Request{PlaybackID: "SIGNED", All: true}); err != nil || h.asked != 1 {
		t.Errorf("asked %d times, %v", h.asked, err)
	}
	w.rules[playback.Video] = deny(playback.CodeNoMatchingRule)
	if _, err := w.issueHeld(h, issuer.Request{PlaybackID: "SIGNED", Types: video()}); !errors.Is(err, playback.CodeNoMatchingRule) || h.asked != 1 {
		t.Errorf("rules that come to no grants: asked %d times, %v", h.asked, err)
	}
	w.rules[playback.Video] = allow(playback.Grant{})
	w.env.ReadsGrants = false
	if _, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: video()}); err != nil || h.asked != 1 {
		t.Errorf("rules that read no grants: asked %d times, %v", h.asked, err)
	}
}

// TestUnderStaleKeysAnEndIsStillAnEnd: however little is assured of the key, no
// token outlives what allowed it.
func TestUnderStaleKeysAnEndIsStillAnEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		assured, until, want time.Duration
		bound                issuer.Bound
		curtailed            bool
	}{
		{30 * time.Minute, 40 * time.Minute, 30 * time.Minute, issuer.BoundKey, true},
		{30 * time.Minute, 30 * time.Minute, 30 * time.Minute, issuer.BoundWindow, false},
		{30 * time.Minute, 20 * time.Minute, 20 * time.Minute, issuer.BoundWindow, false},
		{5 * time.Second, 10 * time.Second, 10 * time.Second, issuer.BoundWindow, false},
		{-time.Hour, time.Minute, time.Minute, issuer.BoundWindow, false},
	} {
		w := newWorld()
		w.stale, w.assured = true, w.now.Add(c.assured).Unix()
		d := allow(playback.Grant{TTL: time.Hour})
		d.Until = w.now.Add(c.until)
		w.rules[playback.Video] = d
		answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: video()})
		if err != nil || answer.Lifetime.Exp != w.now.Add(c.want).Unix() || answer.Bound != c.bound || answer.Curtailed != c.curtailed || !answer.Stale || !answer.Lifetime.Cut {
			t.Errorf("assured %s, until %s: %+v, %v", c.assured, c.until, answer, err)
		}
	}
}
