package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/playback"
)

// orGone says in the catalogue's words that Mux has no such thing.
func orGone(err error) error {
	if errors.Is(err, muxapi.ErrNotFound) {
		return fmt.Errorf("%w: %w", catalog.ErrGone, err)
	}
	return err
}

// webhooks takes what Mux sends to any environment.
type webhooks struct{ app *App }

// Take verifies a webhook and gives it to the environment's catalogue. Who did
// not sign for the environment learns nothing, not even whether there is one;
// the log has the cause.
func (w webhooks) Take(ctx context.Context, env playback.EnvironmentID, signature string, body []byte) (string, error) {
	outcome, err := w.take(ctx, env, signature, body)
	if err != nil && outcome == "" {
		outcome = catalog.EventRefused
	}
	w.app.catalogues.metrics.Event(outcome)
	return string(outcome), err
}

func (w webhooks) take(ctx context.Context, env playback.EnvironmentID, signature string, body []byte) (catalog.EventOutcome, error) {
	s := w.app.state.Load()
	e, inbox := s.configured[env], s.inboxes[env]
	refused := playback.Errorf(playback.CodeInvalidCredentials, "The signature is missing, too old, or not by a secret of this environment.")
	if e == nil || inbox == nil {
		return "", refused.Because(errors.New("there is no such environment"))
	}
	if err := catalog.VerifySignature(signature, body, e.Webhooks.Secrets, w.app.clock.Now().Add(-e.Webhooks.Tolerance)); err != nil {
		return "", refused.Because(err)
	}
	outcome, err := inbox.Take(ctx, body)
	switch {
	case err == nil:
		return outcome, nil
	case errors.Is(err, catalog.ErrEventEnvironment):
		return "", playback.Errorf(playback.CodeInvalidCredentials, "environment.id: is not the environment of mux.environment_id").Because(err)
	case errors.Is(err, catalog.ErrEvent):
		return "", playback.Errorf(playback.CodeInvalidField, "The body is not a webhook of Mux.").Because(err)
	}
	return catalog.EventFailed, playback.Errorf(playback.CodeDependencyUnavailable, "The store does not answer.").After(webhookRetry).Because(err)
}

// webhookRetry is what Mux is told about a store that is down; it has a plan of
// its own.
const webhookRetry = 5 * time.Second
