package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// Library holds the catalogues of all environments and follows the store, which
// every replica writes to. All that changes a catalogue comes through the store,
// in the order of store.Object.Seq: there is no second way that could overtake
// it. A store that goes back to an earlier state gets back what the Library knows.
type Library struct {
	store Records

	mu     sync.Mutex       // held while the store is followed
	seen   store.Checkpoint // everything up to it was taken over
	lives  map[playback.EnvironmentID]*Live
	torn   bool           // a reconciliation did not come to its end
	owed   []store.Object // what a store that went back still lacks
	rewind Rewind
}

// Records are what a Library needs of a store.
type Records interface {
	store.Catalogue
	store.History
}

// NewLibrary reads what the store knows of the environments.
func NewLibrary(ctx context.Context, s Records, environments []playback.EnvironmentID) (*Library, error) {
	l := &Library{store: s, lives: map[playback.EnvironmentID]*Live{}}
	for _, env := range environments {
		l.lives[env] = newLive(env)
	}
	if err := l.Follow(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// Live returns an environment's catalogue, which it reads first if the
// environment is new.
func (l *Library) Live(ctx context.Context, env playback.EnvironmentID) (*Live, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if live := l.lives[env]; live != nil {
		return live, nil
	}
	if err := l.follow(ctx); err != nil {
		return nil, err
	}
	live := newLive(env)
	c := live.begin()
	err := l.changes(ctx, span{env: env, upTo: l.seen.Seq}, c.apply)
	c.end()
	if err != nil {
		return nil, fmt.Errorf("environment %s: %w", env, err)
	}
	l.lives[env] = live
	return live, nil
}

// Keep forgets the environments that are not listed.
func (l *Library) Keep(environments []playback.EnvironmentID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := make(map[playback.EnvironmentID]*Live, len(environments))
	for _, env := range environments {
		if live := l.lives[env]; live != nil {
			kept[env] = live
		}
	}
	l.lives = kept
}

// Follow takes over what has changed in the store since the last time, by
// whatever replica. Who has written something calls it to see it.
func (l *Library) Follow(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.follow(ctx)
}

// follow is Follow while l.mu is held. What is read is believed only once a later
// call finds that its checkpoint is still there.
func (l *Library) follow(ctx context.Context) error {
	latest, became, err := l.store.Compare(ctx, l.seen)
	if err != nil {
		return err
	}
	if became != store.Continued || l.torn {
		return l.reconcile(ctx, latest, became)
	}
	if latest == l.seen {
		return nil
	}
	if len(l.lives) > 0 {
		if err := l.take(ctx, span{after: l.seen.Seq, upTo: latest.Seq}); err != nil {
			return err
		}
	}
	l.seen = latest
	return nil
}

// take takes over changes.
func (l *Library) take(ctx context.Context, of span) error {
	changes := map[*Live]*change{}
	err := l.changes(ctx, of, func(o *store.Object) {
		live := l.lives[o.Environment]
		if live == nil {
			return
		}
		if changes[live] == nil {
			changes[live] = live.begin()
		}
		changes[live].apply(o)
	})
	for _, c := range changes {
		c.end()
	}
	return err
}

// span is the changes with after < Seq <= upTo, of one environment or, if env is
// "", of all.
type span struct {
	env         playback.EnvironmentID
	after, upTo int64
}

// errBeyond ends the reading of changes at the end of a span.
var errBeyond = errors.New("the change is beyond the span")

func (l *Library) changes(ctx context.Context, of span, do func(*store.Object)) error {
	err := l.store.Changes(ctx, of.env, of.after, func(o *store.Object) error {
		if o.Seq > of.upTo {
			return errBeyond
		}
		do(o)
		return nil
	})
	if errors.Is(err, errBeyond) {
		return nil
	}
	return err
}

const (
	followEvery = time.Second // how soon a replica sees what another one learned
	coolEvery   = time.Minute
	forgetEvery = time.Hour
	eventsKept  = 48 * time.Hour // Mux repeats a webhook for 24 hours
)

// Run follows the store and keeps house until the context ends.
func (l *Library) Run(ctx context.Context, log *slog.Logger, now func() time.Time) {
	follow, cool, forget := time.NewTicker(followEvery), time.NewTicker(coolEvery), time.NewTicker(forgetEvery)
	defer follow.Stop()
	defer cool.Stop()
	defer forget.Stop()
	failing := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-follow.C:
			err = errors.Join(l.store.Mark(ctx), l.Follow(ctx), l.WriteBack(ctx))
			l.report(log, now())
		case <-cool.C:
			l.cool()
			continue
		case <-forget.C:
			err = errors.Join(l.store.ForgetEvents(ctx, now().Add(-eventsKept)), l.store.TrimHistory(ctx))
		}
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !failing:
			log.Error("the store cannot be followed: the catalogue may fall behind", "error", err)
		case err == nil && failing:
			log.Info("the store is followed again")
		}
		failing = err != nil
	}
}

// cool drops what was made of objects that are no longer in use, where no Syncer
// does.
func (l *Library) cool() {
	l.mu.Lock()
	lives := slices.Collect(maps.Values(l.lives))
	l.mu.Unlock()
	for _, live := range lives {
		if !live.synced.Load() {
			live.sweep(time.Time{})
		}
	}
}

// Len returns how many playback IDs were learned, in all environments.
func (l *Library) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, live := range l.lives {
		n += live.Len()
	}
	return n
}

// Ties returns how many objects there are whose reports disagree, in all
// environments.
func (l *Library) Ties() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, live := range l.lives {
		n += len(live.ties())
	}
	return n
}

// tiedAt is Live.tiedAt of an environment.
func (l *Library) tiedAt(env playback.EnvironmentID, t target, version int64) bool {
	l.mu.Lock()
	live := l.lives[env]
	l.mu.Unlock()
	return live != nil && live.tiedAt(t, version)
}

// Write keeps what Mux said, and shows it. event is nil for what no webhook
// told; fresh is false if that webhook was taken before.
func (l *Library) Write(ctx context.Context, event *store.Event, objects []store.Object) (fresh bool, err error) {
	_, fresh, err = l.store.Apply(ctx, event, objects, joinTied)
	if err != nil || !fresh || len(objects) == 0 {
		return fresh, err
	}
	return fresh, l.Follow(ctx)
}
