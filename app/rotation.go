package app

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

const (
	// rotationTick is how often the plan is looked at: no I/O.
	rotationTick = time.Second
	// rotationRetry is how long a replica leaves an environment alone whose step
	// another one takes, or which has failed; it doubles up to rotationMaxRetry.
	rotationRetry    = 2 * time.Second
	rotationMaxRetry = 5 * time.Minute
	// rotationReplan is how often the plan of an environment is made anew although
	// neither its keys nor the configuration have changed: what else it depends on,
	// such as the tokens that were handed out, puts steps off and never forward.
	rotationReplan = time.Minute
)

// rotation takes the due steps of scheduled rotations. Every replica runs one;
// the journal in the key store decides who acts.
type rotation struct {
	manager *signingkey.Manager
	inForce func() *state
	keys    heldKeys
	log     *slog.Logger
	steps   *prometheus.CounterVec // action, result

	now func() time.Time // the time of day

	mu      sync.Mutex // guards what follows
	turns   map[playback.EnvironmentID]*turn
	planned *state // that the turns were planned with
	work    sync.WaitGroup
}

// heldKeys is what a rotation knows of keys without any I/O: keystore.Watcher.
type heldKeys interface {
	Keyset(env playback.EnvironmentID) keystore.Keyset
	LastRead(env playback.EnvironmentID) (at time.Time, failing bool)
}

// turn is what a rotation remembers of an environment.
type turn struct {
	running  bool
	failures int
	notUntil time.Time
	blocked  string          // what was logged last
	replan   time.Time       // nothing is due before, with these keys
	keys     keystore.Keyset // that the plan was made of
}

// stands reports whether the plan of a turn says that nothing is due.
func (t *turn) stands(keys keystore.Keyset, now time.Time) bool {
	same := len(t.keys.Keys) == len(keys.Keys) && (len(keys.Keys) == 0 || &t.keys.Keys[0] == &keys.Keys[0])
	return same && within(now, t.replan, rotationReplan)
}

// within reports whether a time is still to come that was planned at most so long
// ahead. One that is further away was planned before the clock was set back.
func within(now, planned time.Time, most time.Duration) bool {
	left := planned.Sub(now)
	return left > 0 && left <= most
}

// newRotation completes what the caller has begun.
func newRotation(r *rotation, registry prometheus.Registerer) *rotation {
	r.turns = map[playback.EnvironmentID]*turn{}
	r.steps = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_key_rotation_steps_total",
		Help: "Steps of scheduled key rotations that this replica took, by action (create, activate, delete) and result (ok, error).",
	}, []string{"action", "result"})
	registry.MustRegister(r.steps)
	return r
}

// run looks at the plan until the context ends, and waits for steps under way.
func (r *rotation) run(ctx context.Context) {
	ticker := time.NewTicker(rotationTick)
	defer ticker.Stop()
	defer r.work.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, env := range r.turn() {
				r.consider(ctx, env, r.now())
			}
		}
	}
}

// turn returns the environments, and forgets all plans if the configuration is
// another than before.
func (r *rotation) turn() []playback.EnvironmentID {
	r.mu.Lock()
	defer r.mu.Unlock()
	inForce := r.inForce()
	if inForce == r.planned {
		return inForce.environments
	}
	r.planned = inForce
	for env, t := range r.turns {
		t.replan = time.Time{}
		if inForce.configured[env] == nil && !t.running {
			delete(r.turns, env)
		}
	}
	return inForce.environments
}

// consider begins an environment's step if it is due.
func (r *rotation) consider(ctx context.Context, env playback.EnvironmentID, now time.Time) {
	keys := r.keys.Keyset(env)
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.turns[env]
	if t == nil {
		t = &turn{}
		r.turns[env] = t
	}
	if t.stands(keys, now) {
		return
	}
	if read, failing := r.keys.LastRead(env); read.IsZero() || failing {
		return // what is due cannot be known, and could not be done
	}
	step := r.manager.NextStep(env, keys)
	t.keys, t.replan = keys, now.Add(rotationReplan)
	if step.Action != signingkey.NoAction && step.Blocked == "" && step.At.Before(t.replan) {
		t.replan = step.At
	}
	if step.Blocked != t.blocked {
		t.blocked = step.Blocked
		if step.Blocked != "" {
			r.log.WarnContext(ctx, "scheduled rotation cannot go on", "environment", env, "step", string(step.Action), "reason", step.Blocked)
		}
	}
	if t.running || within(now, t.notUntil, 2*rotationMaxRetry) || !step.Due(now) {
		return
	}
	t.running = true
	r.work.Go(func() { r.take(ctx, env, step.Action) })
}

func (r *rotation) take(ctx context.Context, env playback.EnvironmentID, action signingkey.Action) {
	step, err := r.manager.Rotate(ctx, env)
	busy := errors.Is(err, playback.CodeKeyBusy)
	switch {
	case err == nil && step.Action == signingkey.NoAction, busy, ctx.Err() != nil:
	case err != nil:
		r.steps.WithLabelValues(string(action), "error").Inc()
		r.log.ErrorContext(ctx, "a step of the scheduled rotation failed", "environment", env, "step", string(action), "error", err)
	default:
		r.steps.WithLabelValues(string(step.Action), "ok").Inc()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.turns[env]
	t.running = false
	wait := rotationRetry
	if err != nil && !busy {
		wait = min(rotationMaxRetry, wait<<min(t.failures, 8))
		t.failures++
	} else {
		t.failures = 0
	}
	t.notUntil = r.now().Add(time.Duration(float64(wait) * (0.5 + rand.Float64()))) //nolint:gosec // spreads load, guards nothing
}
