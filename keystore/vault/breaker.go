package vault

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

const (
	// breakAfter is how many calls must fail in a row before no more are made.
	breakAfter = 3
	// breakFor is how long none is made then, before one is tried.
	breakFor = time.Second
)

// breaker keeps callers from waiting for a Vault that does not answer. It may
// be used from several goroutines.
type breaker struct {
	now    func() time.Time
	logger *slog.Logger

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	until    time.Time  // while open: when one call is tried
	probing  bool       // it is under way
}

// openError says that no call was made.
type openError struct{ wait time.Duration }

func (e openError) Error() string {
	return fmt.Sprintf("the last calls of Vault's transit failed, so it was not asked; next try in %s", playback.FormatDuration(e.wait.Round(time.Millisecond)))
}

// enter asks to make a call; if there is no error, leave must follow.
func (b *breaker) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return nil
	}
	if wait := b.until.Sub(b.now()); wait > 0 {
		return openError{min(wait, breakFor)}
	}
	if b.probing {
		return openError{breakFor}
	}
	b.probing = true
	return nil
}

// leave says whether a call was answered, and if not, why.
func (b *breaker) leave(answered bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if answered {
		if b.failures >= breakAfter {
			b.logger.Info("Vault's transit answers again")
		}
		b.failures, b.probing = 0, false
		return
	}
	b.failures++
	if b.failures < breakAfter {
		return
	}
	if b.failures == breakAfter {
		b.logger.Error("Vault's transit does not answer: what is not cached cannot be signed until it does", "error", err)
	}
	b.until, b.probing = b.now().Add(breakFor), false
}
