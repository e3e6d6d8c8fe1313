package issuer

import (
	"context"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
)

// Holder knows what viewers hold: *grant.Holder. Its errors are
// *playback.Error.
type Holder interface {
	// InForce returns the rights of the question's viewer that hold for its
	// object then.
	InForce(ctx context.Context, env playback.EnvironmentID, q *playback.Question) ([]playback.Held, error)
	// Held returns all of the viewer's rights, in force or not.
	Held(ctx context.Context, env playback.EnvironmentID, q *playback.Question) ([]playback.Held, error)
	// Start begins the time of a right, unless it has begun, and returns when it
	// did, in whole seconds. gone: the right was deleted meanwhile.
	Start(ctx context.Context, env playback.EnvironmentID, id string, now time.Time) (first time.Time, gone bool, err error)
}

// Bound names the end that came first among those that a token's life has.
type Bound string

// The bounds. A signing key sets one only while the key store does not answer:
// otherwise it is not deleted before the last token that it signed has ended.
const (
	BoundRule    Bound = "rule"    // the rule's ttl, with the asset's duration where it is covered
	BoundMaxTTL  Bound = "max_ttl" // token.max_ttl, which is shorter than the rule's
	BoundGrant   Bound = "grant"   // until, of a right that the rule rests on
	BoundRental  Bound = "rental"  // play_within, of a right that the rule rests on
	BoundWindow  Bound = "window"  // until, of the rule's own grant
	BoundSession Bound = "session" // the viewer token's exp, where the rule says bound_to_session
	BoundKey     Bound = "key"     // how long the key is sure to live, while nobody can ask the key store
)

// plan gives an answer one lifetime for all types, and says what bounded it: the
// shortest ttl that any was granted, put on the grid, shortened if the key's life
// is in doubt, and cut at the first end that any of the types has.
func (q *inquiry) plan(all []granted, answer *Answer) error {
	term, bound := q.term(all)
	life := playback.Schedule(q.env.ID, q.object.PhaseID(), term, q.now)
	answer.Curtailed = false
	if answer.Stale {
		whole := life
		if life = curtail(whole, q.assured, q); life != whole {
			answer.Curtailed, bound = true, BoundKey
		}
	}
	cut := func(end time.Time, by Bound) {
		if end.IsZero() {
			return
		}
		if at := end.Unix(); at <= life.Exp && (at < life.Exp || !life.Cut || answer.Curtailed) {
			life, bound = life.CutAt(at), by
			answer.Curtailed = false
		}
	}
	for n := range all {
		g := &all[n]
		cut(g.until, BoundWindow)
		for m := range g.held {
			cut(q.end(g, &g.held[m]))
		}
		if g.grant.BoundToSession {
			end, err := q.session()
			if err != nil {
				return err
			}
			cut(end, BoundSession)
		}
	}
	answer.Lifetime, answer.Bound = life, bound
	if life.Cut && life.Exp <= q.now.Unix() {
		return ended()
	}
	return nil
}

// curtail shortens a lifetime under stale keys: to what is assured and, once
// that is too little, to a quarter of it: nobody is refused who does not ask for
// more by min_ttl.
func curtail(life playback.Lifetime, assured int64, q *inquiry) playback.Lifetime {
	if assured == 0 || life.Exp <= assured {
		return life
	}
	least := max(1, life.L/4)
	if left := assured - q.now.Unix() - 1; left >= least {
		return playback.Lifetime{L: left, G: life.G, Exp: assured, Cut: true}
	}
	return playback.Schedule(q.env.ID, q.object.PhaseID(), least, q.now)
}

// ended refuses what nothing allows any more.
func ended() *playback.Error {
	return playback.Errorf(playback.CodeNoMatchingRule, "What allowed this viewer to play this has ended.")
}

// term returns the shortest L that any type was granted.
func (q *inquiry) term(all []granted) (shortest int64, bound Bound) {
	var duration float64
	if q.object.Asset != nil {
		duration = q.object.Asset.Duration
	}
	for n := range all {
		grant := all[n].grant
		ttl := grant.TTL
		if ttl == 0 {
			ttl = q.env.DefaultTTL
		}
		term := playback.Term(ttl, grant.CoverDuration, duration, q.env.MaxTTL)
		if n > 0 && term >= shortest {
			continue
		}
		shortest, bound = term, BoundRule
		if term < int64(ttl/time.Second) || grant.CoverDuration && float64(term)-ttl.Seconds() < duration {
			bound = BoundMaxTTL
		}
	}
	return shortest, bound
}

// end returns when a right ends that a type rests on. One that waits has no time
// of its own yet, unless this answer begins it.
func (q *inquiry) end(g *granted, h *playback.Held) (time.Time, Bound) {
	if h.Waits() && !q.begins(g) {
		return h.Until, BoundGrant
	}
	end := h.End(q.now)
	if h.PlayWithin > 0 && !end.Equal(h.Until) {
		return end, BoundRental
	}
	return end, BoundGrant
}

// begins reports whether handing out a token of this type is playing: it begins
// the rights that wait (contract §5's first video or drm_license token).
func (q *inquiry) begins(g *granted) bool {
	return !q.req.Passive && (g.kind == playback.Video || g.kind == playback.DRMLicense)
}

// session returns when the viewer's own token ends, the zero time if it is not
// known: of an anonymous viewer, and of one that a backend names without exp.
func (q *inquiry) session() (time.Time, error) {
	exp, ok := q.req.Viewer.Claims["exp"].(float64)
	if !ok || exp >= maxExp {
		return time.Time{}, nil
	}
	end := time.Unix(int64(exp), 0)
	if !end.After(q.now.Truncate(time.Second)) { // within the leeway that its verification has
		return end, playback.Errorf(playback.CodeExpiredCredentials, "The viewer token has expired.")
	}
	return end, nil
}

// maxExp is beyond any lifetime, and fits an int64.
const maxExp = 1 << 53

// waiting reports whether the answer rests on a right whose time has not begun
// and that playing begins.
func waiting(all []granted) bool {
	for n := range all {
		g := &all[n]
		if (g.kind == playback.Video || g.kind == playback.DRMLicense) && slices.ContainsFunc(g.held, func(h playback.Held) bool { return h.Waits() }) {
			return true
		}
	}
	return false
}

// begin begins the rights that wait, in the store, and reports whether one did
// not begin now: another hand was first, by its own clock, and the lifetime that
// was planned is not the right one.
func (i *Issuer) begin(ctx context.Context, q *inquiry, all []granted) (moved bool, err error) {
	for n := range all {
		g := &all[n]
		if !q.begins(g) {
			continue
		}
		for m := range g.held {
			h := g.held[m]
			if !h.Waits() {
				continue
			}
			first, gone, err := i.cfg.Grants.Start(ctx, q.env.ID, h.ID, q.now)
			if err != nil {
				return false, err
			}
			h.FirstPlay = first
			if gone || !h.InForce(q.now) {
				return false, ended()
			}
			begun(all, h)
			moved = moved || !first.Equal(q.now.Truncate(time.Second))
		}
	}
	return moved, nil
}

// begun notes the first play of a right wherever a type rests on it. The slices
// may be the rules' own, so they are copied.
func begun(all []granted, h playback.Held) {
	for n := range all {
		for m := range all[n].held {
			if all[n].held[m].ID == h.ID {
				all[n].held = slices.Clone(all[n].held)
				all[n].held[m].FirstPlay = h.FirstPlay
			}
		}
	}
}

// deliver plans the lifetime, signs, and begins what waits: in that order, so
// that nobody's rental runs while nothing can be signed. What was signed on the
// assumption that it begins now is handed out to nobody if it did not.
func (i *Issuer) deliver(ctx context.Context, q *inquiry, all []granted, answer *Answer) error {
	answer.Withheld = q.req.Passive && waiting(all)
	q.assured, answer.Stale = i.stale(q.env.ID)
	charged := false
	for {
		if err := q.plan(all, answer); err != nil {
			return err
		}
		if err := checkMinTTL(q.req, answer.Lifetime, q.now); err != nil {
			return err
		}
		if !charged {
			charged = true
			if err := q.charge(answer); err != nil {
				return err
			}
		}
		if err := i.sign(ctx, q.env, q.req, answer); err != nil {
			return err
		}
		if err := i.checkInTime(answer); err != nil {
			return err
		}
		if q.req.Passive || !waiting(all) {
			return nil
		}
		moved, err := i.begin(ctx, q, all)
		if err != nil || !moved {
			return err
		}
	}
}

// checkInTime refuses tokens that have ended while they waited to be signed.
func (i *Issuer) checkInTime(answer *Answer) error {
	if answer.Hit || i.cfg.Now().Unix() < answer.Lifetime.Exp {
		return nil
	}
	return playback.Errorf(playback.CodeSigningOverloaded, "The tokens have ended before they were signed; try again later.").After(time.Second)
}

// charge charges an All request for what it got.
func (q *inquiry) charge(answer *Answer) error {
	if q.req.All && q.req.Charge != nil {
		return q.req.Charge(len(answer.Items))
	}
	return nil
}

func (i *Issuer) stale(env playback.EnvironmentID) (assured int64, stale bool) {
	if i.cfg.Stale == nil {
		return 0, false
	}
	return i.cfg.Stale(env)
}

func checkMinTTL(req *Request, life playback.Lifetime, now time.Time) error {
	longest := time.Duration(life.L) * time.Second
	if life.Cut {
		longest = min(longest, time.Unix(life.Exp, 0).Sub(now))
	}
	if req.MinTTL > longest {
		return playback.Errorf(playback.CodeMinTTLTooLong, "min_ttl: tokens live %s here", playback.FormatDuration(longest))
	}
	return nil
}
