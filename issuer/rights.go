package issuer

import (
	"context"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
)

// hurriedWait is how long a request waits for what its answer does not depend
// on: what a shadow, or the time from which on a refusal ends, wants to know.
const hurriedWait = 250 * time.Millisecond

// rights are what the viewer of a request holds, read once, when the rules first
// ask: a request that is decided without needs no store.
type rights struct {
	ctx     context.Context //nolint:containedctx // the request's, which the rules do not know
	holder  Holder
	read    bool
	inForce []playback.Held
	err     error // why they cannot be read
	late    error // why they could not be read in a hurry
}

// ReadEntitlements reads what the viewer holds; see playback.EntitlementReader.
func (q *inquiry) ReadEntitlements(needed bool) ([]playback.Held, error) {
	r := &q.rights
	if r.read || r.err != nil {
		return r.inForce, r.err
	}
	if !needed && r.late != nil {
		return nil, r.late
	}
	ctx := r.ctx
	if !needed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, hurriedWait)
		defer cancel()
	}
	question := playback.Question{Viewer: q.req.Viewer, Object: q.object, Now: q.now}
	inForce, err := r.holder.InForce(ctx, q.env.ID, &question)
	switch {
	case err == nil:
		r.read, r.inForce = true, inForce
	case needed:
		r.err = err
	default:
		r.late = err
	}
	return r.inForce, err
}

// explainRights looks up all that the viewer holds, if the rules want to know,
// and notes what of it they see and what not.
func (i *Issuer) explainRights(ctx context.Context, q *inquiry, x *Explanation) ([]playback.Held, error) {
	q.rights.read = true
	if !q.env.ReadsGrants {
		return nil, nil
	}
	viewer := q.req.Viewer
	held, err := i.cfg.Grants.Held(ctx, q.env.ID, &playback.Question{Viewer: viewer, Object: q.object, Now: q.now})
	if err != nil {
		return nil, err
	}
	for n := range held {
		if why := held[n].Obstacles(q.object, q.now); why != nil {
			x.Idle = append(x.Idle, playback.IdleGrant{ID: held[n].ID, Why: why, Held: held[n]})
		} else {
			x.Grants = append(x.Grants, held[n])
		}
	}
	q.rights.inForce = x.Grants
	lister, ok := i.cfg.Grants.(AliasLister)
	if !ok || viewer.ID == "" {
		return held, nil
	}
	x.OtherIssuers, err = lister.Issuers(ctx, q.env.ID, viewer.ID)
	x.OtherIssuers = slices.DeleteFunc(x.OtherIssuers, func(alias string) bool { return alias == viewer.Issuer })
	return held, err
}
