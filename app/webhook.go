package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
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

// unsigned is the refusal of a webhook that was not signed for the environment. Who
// sent it learns nothing, not even whether there is one; the log has the cause.
func (w webhooks) unsigned(cause error) error {
	w.app.catalogues.metrics.Event(catalog.EventRefused)
	return playback.Errorf(playback.CodeInvalidCredentials, "The signature is missing, too old, or not by a secret of this environment.").Because(cause)
}

// Plausible refuses a signature that no environment would take: it is the same for
// all of them, so that it tells nobody which there are.
func (w webhooks) Plausible(signature string) error {
	if err := catalog.CheckSignature(signature, w.app.clock.Now().Add(-w.app.state.Load().tolerance)); err != nil {
		return w.unsigned(err)
	}
	return nil
}

// Verify refuses a webhook that is not signed by a secret of the environment.
func (w webhooks) Verify(env playback.EnvironmentID, signature string, body []byte) error {
	e := w.app.state.Load().configured[env]
	if e == nil {
		return w.unsigned(errNoEnvironment)
	}
	if err := catalog.VerifySignature(signature, body, e.Webhooks.Secrets, w.app.clock.Now().Add(-e.Webhooks.Tolerance)); err != nil {
		return w.unsigned(err)
	}
	return nil
}

var errNoEnvironment = errors.New("there is no such environment")

// Take gives a webhook to the environment's catalogue.
func (w webhooks) Take(ctx context.Context, env playback.EnvironmentID, body []byte) (string, error) {
	inbox := w.app.state.Load().inboxes[env]
	if inbox == nil {
		return "", w.unsigned(errNoEnvironment)
	}
	outcome, err := inbox.Take(ctx, body)
	if err != nil {
		outcome, refusal := webhookRefusal(err)
		w.app.catalogues.metrics.Event(outcome)
		return string(outcome), refusal
	}
	w.app.catalogues.metrics.Event(outcome)
	return string(outcome), nil
}

// webhookRefusal returns what is answered, and counted, for an error of
// Inbox.Take.
func webhookRefusal(err error) (catalog.EventOutcome, *playback.Error) {
	switch {
	case errors.Is(err, catalog.ErrEventEnvironment):
		return catalog.EventRefused, playback.Errorf(playback.CodeInvalidCredentials, "environment.id: is not the environment of mux.environment_id").Because(err)
	case errors.Is(err, catalog.ErrEvent):
		return catalog.EventRefused, playback.Errorf(playback.CodeInvalidField, "The body is not a webhook of Mux.").Because(err)
	case errors.Is(err, store.ErrOutboxFull):
		return catalog.EventFull, playback.Errorf(playback.CodeDependencyUnavailable, "Mux is to be asked about too much already.").After(webhookRetry).Because(err)
	}
	return catalog.EventFailed, playback.Errorf(playback.CodeDependencyUnavailable, "The store does not answer.").After(webhookRetry).Because(err)
}

// webhookRetry is what Mux is told about a store that is down, or full; it has a
// plan of its own.
const webhookRetry = 5 * time.Second
