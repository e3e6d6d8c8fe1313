package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

const (
	// recoveryTick is how soon an operation that was found interrupted is looked at
	// again: Mux may not show yet what became of its request.
	recoveryTick = 5 * time.Second
	// recoveryEvery is how often an environment is looked at in which nothing was
	// found: another replica may have ended.
	recoveryEvery = 5 * time.Minute
	// recoveryRetry is how soon one that failed is tried again.
	recoveryRetry = time.Minute
	recoveryTime  = time.Minute // bounds one look
)

// recovery finishes or takes back operations on keys that a process has left in
// the middle of it, at start and while the gateway runs. Without it a key that
// was made at Mux and stored by nobody would stay there until somebody changes
// the environment's keys again.
type recovery struct {
	manager *signingkey.Manager
	inForce func() *state
	log     *slog.Logger

	next map[playback.EnvironmentID]time.Time
	said map[playback.EnvironmentID]bool // a failure was logged
}

// run looks after the environments, one after the other, until the context ends.
func (r *recovery) run(ctx context.Context) {
	r.next, r.said = map[playback.EnvironmentID]time.Time{}, map[playback.EnvironmentID]bool{}
	ticker := time.NewTicker(recoveryTick)
	defer ticker.Stop()
	for {
		s := r.inForce()
		for _, env := range s.environments {
			if ctx.Err() != nil {
				return
			}
			if now := time.Now(); changesKeys(s.configured[env]) && !now.Before(r.next[env]) {
				r.next[env] = now.Add(r.look(ctx, env))
			}
		}
		for env := range r.next {
			if s.configured[env] == nil {
				delete(r.next, env)
				delete(r.said, env)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
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
func (r *recovery) look(ctx context.Context, env playback.EnvironmentID) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	interrupted, err := r.manager.Interrupted(ctx, env)
	if err != nil || !interrupted {
		return recoveryEvery
	}
	err = r.manager.Recover(ctx, env)
	if err == nil {
		delete(r.said, env)
		return recoveryEvery
	}
	if refused, ok := errors.AsType[*playback.Error](err); ok && refused.Code == playback.CodeKeyBusy && refused.RetryAfter > 0 {
		return recoveryTick // it takes a while
	}
	if !r.said[env] {
		r.said[env] = true
		r.log.WarnContext(ctx, "an interrupted operation on signing keys cannot be finished or taken back yet", "environment", env, "error", err)
	}
	return recoveryRetry
}
