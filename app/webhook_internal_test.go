package app

import (
	"errors"
	"fmt"
	"testing"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// TestAWebhookThatIsNotTakenIsSentAgain unless it is none: 503 makes Mux repeat it.
func TestAWebhookThatIsNotTakenIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     error
		outcome catalog.EventOutcome
		code    playback.Code
		again   bool
	}{
		{catalog.ErrEvent, catalog.EventRefused, playback.CodeInvalidField, false},
		{catalog.ErrEventEnvironment, catalog.EventRefused, playback.CodeInvalidCredentials, false},
		{store.ErrOutboxFull, catalog.EventFull, playback.CodeDependencyUnavailable, true},
		{errors.New("connection refused"), catalog.EventFailed, playback.CodeDependencyUnavailable, true},
	} {
		outcome, refusal := webhookRefusal(fmt.Errorf("taking it: %w", c.err))
		if outcome != c.outcome || refusal.Code != c.code || (refusal.RetryAfter > 0) != c.again || !errors.Is(refusal, c.err) {
			t.Errorf("%v: %s, %s after %s", c.err, outcome, refusal.Code, refusal.RetryAfter)
		}
	}
}
