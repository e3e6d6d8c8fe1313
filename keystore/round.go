package keystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

// errStalled ends a round in which nothing could be read any more.
var errStalled = errors.New("the key store does not answer")

// round is a reading of every environment, a few at a time. Those that a round
// does not reach are left as they were.
type round struct {
	watcher *Watcher
	todo    chan *environment

	mu         sync.Mutex // guards what follows
	progressed bool       // some environment was read since the last look
	rejections map[playback.EnvironmentID]error
}

// round reads every environment once. It ends when each was tried, or none could
// be read for StallTimeout. The error joins those of keys that contradict each
// other; it is ctx's if that ended first.
func (w *Watcher) round(ctx context.Context) error {
	environments := *w.environments.Load()
	r := &round{watcher: w, todo: make(chan *environment, len(environments)), rejections: map[playback.EnvironmentID]error{}}
	for _, e := range environments {
		r.todo <- e
	}
	close(r.todo)
	bounded, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var readers sync.WaitGroup
		for range min(atOnce, len(environments)) {
			readers.Go(func() { r.read(bounded) })
		}
		readers.Wait()
	}()
	r.supervise(done, cancel)
	if err := ctx.Err(); err != nil { // the caller gave up, not the round itself
		return err
	}
	return r.rejected()
}

// supervise returns when the round is done, and ends one that has stalled.
func (r *round) supervise(done <-chan struct{}, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(r.watcher.cfg.StallTimeout)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		progressed := r.progressed
		r.progressed = false
		r.mu.Unlock()
		if !progressed {
			cancel(errStalled)
		}
	}
}

// read reads what is left to do, one after the other.
func (r *round) read(ctx context.Context) {
	for e := range r.todo {
		if ctx.Err() != nil {
			return
		}
		var err error
		// Also what is watched is looked at: what was written right before a reload
		// must be in force after it, and the source may not have told of it yet.
		if !r.watcher.confirm(e) {
			err = r.watcher.refresh(ctx, e)
		}
		r.watcher.postpone(e)
		r.note(e.id, err)
	}
}

// note remembers what came of one environment. The source has answered, unless
// the error says otherwise.
func (r *round) note(env playback.EnvironmentID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	contradiction := errors.Is(err, ErrSeveralStateless)
	r.progressed = r.progressed || err == nil || contradiction
	if contradiction {
		r.rejections[env] = err
	}
}

// rejected returns the errors of keys that contradict each other, in the order of
// their environments.
func (r *round) rejected() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	errs := make([]error, 0, len(r.rejections))
	for env, err := range r.rejections {
		errs = append(errs, fmt.Errorf("environment %s: %w", env, err))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
