package signingkey

import (
	"context"
	"errors"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// errNotDue says that somebody else has done the step.
var errNotDue = errors.New("the step is not due any more")

// NextStep returns the next step of an environment's scheduled rotation, from
// keys that were read already: no I/O.
func (m *Manager) NextStep(env playback.EnvironmentID, set keystore.Keyset) Step {
	settings, ok := m.cfg.Settings(env)
	if !ok {
		return Step{}
	}
	h := &holdings{env: env, settings: settings}
	return Plan(set, settings, func(key *keystore.Key) (time.Time, bool) { return m.deletableAt(h, key) })
}

// Planned returns the next step of an environment's scheduled rotation, from
// keys that it reads.
func (m *Manager) Planned(ctx context.Context, env playback.EnvironmentID) (Step, error) {
	h, err := m.load(ctx, env)
	if err != nil {
		return Step{}, err
	}
	return m.NextStep(env, keystore.Keyset{Keys: h.keys}), nil
}

// Rotate takes the next step of an environment's scheduled rotation if it is
// due, and returns it: the zero Step if there was nothing to do. Any number of
// replicas may call it at any time: the journal lets one of them act, and those
// that come later find nothing due.
func (m *Manager) Rotate(ctx context.Context, env playback.EnvironmentID) (Step, error) {
	step, err := m.Planned(ctx, env)
	if err != nil || !step.Due(m.cfg.Now()) {
		return Step{}, err
	}
	order := Order{Environment: env, Key: step.Key, By: "scheduled rotation"}
	switch step.Action {
	case CreateKey:
		settings, _ := m.cfg.Settings(env)
		_, err = m.create(ctx, Creation{Environment: env, By: order.By, Local: settings.Mux == nil}, m.stillDue)
	case Activation:
		_, err = m.Activate(ctx, order)
	case Deletion:
		err = m.Delete(ctx, order)
	case NoAction:
	}
	if errors.Is(err, errNotDue) || step.Action == Deletion && errors.Is(err, playback.CodeNotFound) {
		return Step{}, nil
	}
	if err != nil {
		return Step{}, err
	}
	return step, nil
}

// stillDue asks again, now that nobody else can act, whether a key is to be
// made.
func (m *Manager) stillDue(ctx context.Context, env playback.EnvironmentID) error {
	step, err := m.Planned(ctx, env)
	if err == nil && (step.Action != CreateKey || !step.Due(m.cfg.Now())) {
		return errNotDue
	}
	return err
}
