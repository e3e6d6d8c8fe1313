package issuer

import (
	"context"
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
