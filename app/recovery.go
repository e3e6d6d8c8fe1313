package app

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
)

const (
	// recoveryTick is how often it is looked which environments are due.
	recoveryTick = time.Second
	// recoveryBusy is how soon an operation that was found interrupted is looked at
	// again: Mux may not show yet what became of its request.
	recoveryBusy = 5 * time.Second
	// recoveryEvery is how often an environment is looked at in which nothing was
	// found: another replica may have ended.
	recoveryEvery = 5 * time.Minute
	// Where it failed it is tried again after a time that doubles from the first to
	// the longest, less up to half of it by chance: replicas do not ask together.
	recoveryFirst   = time.Second
	recoveryLongest = time.Minute
	recoveryTime    = time.Minute // bounds one look
)

// recovery finishes or takes back operations on keys that a process has left in
// the middle of it, at start and while the gateway runs. Without it a key that
// was made at Mux and stored by nobody would stay there until somebody changes
// the environment's keys again.
type recovery struct {
	manager recoverer
	inForce func() *state
	// silent reports whether the key store does not answer for an environment.
	silent func(playback.EnvironmentID) bool
	log    *slog.Logger
	now    func() time.Time // a clock that nobody sets

	known map[playback.EnvironmentID]*recovering
}

// recoverer is the part of signingkey.Manager that recovers operations.
type recoverer interface {
	Interrupted(ctx context.Context, env playback.EnvironmentID) (bool, error)
	Recover(ctx context.Context, env playback.EnvironmentID) error
}

// recovering is what is known of one environment.
type recovering struct {
	next     time.Time
	failures int  // in a row
	silent   bool // at the last tick
	said     bool // a failure was logged
}

// run looks after the environments, one after the other, until the context ends.
func (r *recovery) run(ctx context.Context) {
	r.known = map[playback.EnvironmentID]*recovering{}
	ticker := time.NewTicker(recoveryTick)
	defer ticker.Stop()
	for {
		s := r.inForce()
		for _, env := range s.environments {
			if ctx.Err() != nil {
				return
			}
			if changesKeys(s.configured[env]) {
				r.attend(ctx, env)
			}
		}
		for env := range r.known {
			if s.configured[env] == nil {
				delete(r.known, env)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// attend recovers an environment if it is due: as planned, or because the key
// store, which was silent, has answered again since the last look failed.
func (r *recovery) attend(ctx context.Context, env playback.EnvironmentID) {
	k := r.known[env]
	if k == nil {
		k = &recovering{}
		r.known[env] = k
	}
	silent := r.silent(env)
	answers := k.silent && !silent
	k.silent = silent
	if r.now().Before(k.next) && (!answers || k.failures == 0) {
		return
	}
	after := r.look(ctx, env, k)
	k.next = r.now().Add(after)
}

// changesKeys reports whether a gateway is meant to change an environment's keys,
// by schedule or for who asks. One that is not may have no access to the journal,
// and asking for it in vain might cost it its log-in.
func changesKeys(e *configs.Environment) bool {
	return e.Keys.RotateEvery > 0 || e.Keys.RetireAfter > 0 || slices.ContainsFunc(e.AccessTokens, func(t configs.AccessToken) bool {
		return slices.Contains(t.Permissions, "system:write")
	})
}

// look recovers an environment, and returns when to look again. That the key store
// does not answer is said elsewhere.
func (r *recovery) look(ctx context.Context, env playback.EnvironmentID, k *recovering) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	interrupted, err := r.manager.Interrupted(ctx, env)
	if err != nil {
		return k.failed()
	}
	if interrupted {
		err = r.manager.Recover(ctx, env)
	}
	if err == nil {
		k.failures, k.said = 0, false
		return recoveryEvery
	}
	if refused, ok := errors.AsType[*playback.Error](err); ok && refused.Code == playback.CodeKeyBusy && refused.RetryAfter > 0 {
		return recoveryBusy // it takes a while
	}
	if !k.said {
		k.said = true
		r.log.WarnContext(ctx, "an interrupted operation on signing keys cannot be finished or taken back yet", "environment", env, "error", err)
	}
	return k.failed()
}

// failed notes a failure, and returns when to try again.
func (k *recovering) failed() time.Duration {
	delay := min(recoveryLongest, recoveryFirst<<min(k.failures, 10))
	k.failures++
	return delay - rand.N(delay/2) //nolint:gosec // spreads replicas
}
