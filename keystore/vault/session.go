package vault

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/playback"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	// maxJitter bounds how long the successor of a token is put off, so that
	// replicas that were started together do not log in together.
	maxJitter = 10 * time.Second
)

// session owns the client's token: it logs in when there is none, lets the
// api's LifetimeWatcher renew it, and logs in again when it nears its end or is
// refused. The first log-in waits until somebody is about to use the token, so
// that a Vault that is down is asked no more often than keys are read.
type session struct {
	client       *api.Client // whose token it is
	method       method      // nil: a token is added on the way
	relogInAfter time.Duration
	timeout      time.Duration
	logger       *slog.Logger
	now          func() time.Time

	// due says that the token nears its end. Set by the goroutine that waits
	// for the current LifetimeWatcher, which may not be an older one.
	due     atomic.Bool
	current atomic.Pointer[api.LifetimeWatcher]
	renewal sync.WaitGroup
	ctx     context.Context //nolint:containedctx // the life of the goroutines that keep, ended by close
	cancel  context.CancelFunc

	// turn holds a token while somebody logs in. It guards the fields below.
	turn      chan struct{}
	logins    *api.Client // for log-ins; its token comes and goes
	failures  int         // to log in, in a row
	notBefore time.Time   // to log in again after failures
	failure   error       // the last one
	relogIn   time.Time   // when a refusal last set off a log-in
}

func newSession(client, logins *api.Client, cfg *Config) *session {
	s := &session{
		client: client, logins: logins, method: newMethod(cfg.Auth), relogInAfter: cfg.RelogInAfter, timeout: cfg.Timeout,
		logger: cfg.Logger, now: cfg.Now, turn: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// ensure logs in if there is no token, or one that nears its end. While an old
// token is left, failing to replace it is no error yet.
func (s *session) ensure(ctx context.Context) error {
	if s.method == nil || s.client.Token() != "" && !s.due.Load() {
		return nil
	}
	return s.exclusively(ctx, func() error {
		token := s.client.Token()
		if token != "" && !s.due.Load() {
			return nil // somebody else was faster
		}
		if token != "" && s.now().Before(s.notBefore) {
			return nil
		}
		err := s.logIn(ctx)
		if err != nil && token != "" {
			s.logger.WarnContext(ctx, "Vault token could not be replaced; the old one is used as long as it lasts", "error", err)
			return nil
		}
		return err
	})
}

// replace logs in anew because Vault refused the token, unless that was tried
// too recently, or somebody else has done it. It reports whether there is
// another token now.
func (s *session) replace(ctx context.Context, refused string) (bool, error) {
	if s.method == nil {
		return false, nil
	}
	err := s.exclusively(ctx, func() error {
		if s.client.Token() != refused {
			return nil
		}
		now := s.now()
		if !s.relogIn.IsZero() && now.Sub(s.relogIn) < s.relogInAfter {
			return nil
		}
		// A valid token that may not read points to a policy. Logging in anew
		// helps only if the role's list of policies was changed, and may use up
		// a secret ID: be slow.
		if _, err := s.client.Auth().Token().LookupSelfWithContext(ctx); err == nil &&
			!s.relogIn.IsZero() && now.Sub(s.relogIn) < 10*s.relogInAfter {
			return nil
		}
		s.relogIn = now
		return s.logIn(ctx)
	})
	return s.client.Token() != refused, err
}

// exclusively runs f in turn.
func (s *session) exclusively(ctx context.Context, f func() error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logIn gets a token, within the backoff of earlier failures. It is called in
// turn.
func (s *session) logIn(ctx context.Context) error {
	if s.now().Before(s.notBefore) {
		return s.failure
	}
	auth, err := s.method.logIn(ctx, s.logins)
	if err != nil {
		backoff := maxBackoff
		if s.failures < 6 {
			backoff = min(backoff, firstBackoff<<s.failures)
		}
		s.failures++
		s.notBefore = s.now().Add(time.Duration(float64(backoff) * (0.5 + rand.Float64()/2))) //nolint:gosec // spreads load, guards nothing
		s.failure = fmt.Errorf("logging in to Vault: %w", err)
		return s.failure
	}
	s.failures, s.notBefore = 0, time.Time{}
	level := slog.LevelInfo
	if auth.ClientToken == s.client.Token() { // its file has not changed yet
		level = slog.LevelDebug
	}
	s.logger.Log(ctx, level, "logged in to Vault", "renewable", auth.Renewable, "ttl", playback.FormatDuration(time.Duration(auth.LeaseDuration)*time.Second))
	s.client.SetToken(auth.ClientToken)
	s.keep(auth, level)
	return nil
}

// keep has a token renewed, and replaced when that ends; it stops renewing the
// one before. It is called in turn.
func (s *session) keep(auth *api.SecretAuth, level slog.Level) {
	var watcher *api.LifetimeWatcher
	if auth.LeaseDuration > 0 && s.ctx.Err() == nil { // else it never expires, or nobody knows when
		var err error
		watcher, err = s.client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: &api.Secret{Auth: auth}})
		if err != nil { // only for missing input
			s.logger.Error("Vault token will not be renewed", "error", err)
		}
	}
	old := s.current.Swap(watcher)
	s.due.Store(false)
	if old != nil {
		old.Stop()
	}
	if watcher == nil {
		return
	}
	delay := jitter(time.Duration(auth.LeaseDuration) * time.Second)
	if level == slog.LevelDebug { // the file may still hold the same token next time
		delay += time.Second
	}
	s.renewal.Go(watcher.Start)
	s.renewal.Go(func() {
		// nil and errors mean the same: this token will not be renewed again.
		err := <-watcher.DoneCh()
		if s.current.Load() != watcher {
			return // stopped by us
		}
		s.due.Store(true)
		s.logger.Log(s.ctx, level, "Vault token nears its end and is replaced", "error", err)
		s.succeed(watcher, delay)
	})
}

// succeed logs in until the watcher's token has a successor, first after a
// delay, then as the backoff of log-ins allows. Whoever uses the token may be
// faster (ensure).
func (s *session) succeed(watcher *api.LifetimeWatcher, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		}
		if s.current.Load() != watcher {
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
		_ = s.ensure(ctx) // logged there: there is an old token
		cancel()
		timer.Reset(s.patience())
	}
}

// patience returns how long until logging in makes sense.
func (s *session) patience() time.Duration {
	wait := firstBackoff / 2
	_ = s.exclusively(s.ctx, func() error { // else the session ends
		wait = max(wait, s.notBefore.Sub(s.now()))
		return nil
	})
	return wait
}

// jitter returns how long to put off the successor of a token: much less than
// what is left of its life when renewing ends, a tenth or more.
func jitter(lease time.Duration) time.Duration {
	return time.Duration(float64(min(maxJitter, lease/20)) * rand.Float64()) //nolint:gosec // spreads load, guards nothing
}

// close stops renewing and waits for it.
func (s *session) close() {
	s.cancel()
	_ = s.exclusively(context.Background(), func() error { // whoever logs in ends with cancel, or its own context
		if old := s.current.Swap(nil); old != nil {
			old.Stop()
		}
		return nil
	})
	s.renewal.Wait()
}
