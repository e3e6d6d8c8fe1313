package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/playgate/playgate/fairqueue"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	// lookupWait is how long a request waits for Mux.
	lookupWait = 2 * time.Second
	// lookupLife is how long Mux is waited for on behalf of later requests.
	lookupLife = 10 * time.Second
	// negativeFor is how long Mux's no counts.
	negativeFor = 60 * time.Second
	// defaultUnknown bounds the IDs that Mux said no to: callers choose them.
	defaultUnknown = 10_000
	// maxFlights bounds the look-ups of one environment that are under way or
	// wait. Budgets and the queue divide them among the callers.
	maxFlights = 256
	// maxAsking is how many of them ask Mux at once, or wait for its pace: it
	// takes a second request to learn what a playback ID belongs to.
	maxAsking = 2
)

// lookups are one environment's look-ups under way, Mux's noes, and what callers
// have spent. Another environment has its own.
type lookups struct {
	most  int              // noes
	turns *fairqueue.Queue // by caller

	mu       sync.Mutex // guards what follows
	flights  map[target]*flight
	negative map[target]time.Time // until when
	spent    budgets
}

// flight is one look-up, which any number of requests wait for.
type flight struct {
	by      playback.Asker // who began it
	charges []charge       // given back unless Mux has no such thing
	done    chan struct{}
	found   bool // valid once done
	err     error
}

func newLookups(most int) lookups {
	return lookups{most: most, turns: fairqueue.New(maxAsking), flights: map[target]*flight{}, negative: map[target]time.Time{}, spent: budgets{}}
}

// find asks Mux about a target that the catalogue does not have, unless Mux said
// no a moment ago; found reports whether the catalogue has it now.
func (s *Syncer) find(ctx context.Context, t target, by playback.Asker) (found bool, err error) {
	f, err := s.board(t, by)
	if f == nil || err != nil {
		return false, err
	}
	wait := time.NewTimer(lookupWait)
	defer wait.Stop()
	select {
	case <-f.done:
	case <-wait.C:
		return false, unavailable("Mux does not answer in time.")
	case <-ctx.Done():
		return false, unavailable("Mux does not answer in time.").Because(ctx.Err())
	}
	if f.err != nil {
		return false, unavailable("Mux cannot be asked.").Because(f.err)
	}
	return f.found, nil
}

func unavailable(message string) *playback.Error {
	return playback.Errorf(playback.CodeDependencyUnavailable, "%s", message).After(2 * time.Second)
}

// board returns the flight of a target, nil if Mux has no such thing. Whoever
// begins one pays for it; what is known, or under way, costs nothing.
func (s *Syncer) board(t target, by playback.Asker) (*flight, error) {
	s.lookups.mu.Lock()
	defer s.lookups.mu.Unlock()
	now := s.cfg.Now()
	if until, ok := s.lookups.negative[t]; ok {
		if now.Before(until) && until.Sub(now) <= negativeFor { // later: the clock was set back

			s.cfg.Metrics.lookupNegative.Inc()
			return nil, nil //nolint:nilnil // no flight is needed
		}
		delete(s.lookups.negative, t)
	}
	if f := s.lookups.flights[t]; f != nil {
		return f, nil
	}
	ctx := s.get()
	if ctx == nil || ctx.Err() != nil || len(s.lookups.flights) >= maxFlights {
		s.cfg.Metrics.lookupFailed.Inc()
		return nil, unavailable("Too much is being asked of Mux.")
	}
	f := &flight{by: by, charges: chargesOf(by), done: make(chan struct{})}
	if err := s.lookups.spent.take(f.charges, now); err != nil {
		s.cfg.Metrics.lookupRefused.Inc()
		return nil, err
	}
	s.lookups.flights[t] = f
	go s.fly(ctx, t, f)
	return f, nil
}

// fly looks a target up and ends its flight.
func (s *Syncer) fly(ctx context.Context, t target, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, lookupLife)
	defer cancel()
	if f.err = s.lookups.turns.Acquire(ctx, queueKey(f.by)); f.err == nil {
		f.found, f.err = s.lookUp(ctx, t)
		s.lookups.turns.Release()
	}
	now := s.cfg.Now()
	s.lookups.mu.Lock()
	defer s.lookups.mu.Unlock()
	delete(s.lookups.flights, t)
	if f.found || f.err != nil {
		s.lookups.spent.giveBack(f.charges, now)
	}
	switch {
	case f.err != nil:
		s.cfg.Metrics.lookupFailed.Inc()
	case f.found:
		s.cfg.Metrics.lookupFound.Inc()
	default:
		s.cfg.Metrics.lookupUnknown.Inc()
		s.lookups.remember(t, now)
	}
	close(f.done)
}

// remember keeps a no. Where there are too many, those that are over go, and
// then any: they are only asked again.
func (l *lookups) remember(t target, now time.Time) {
	if len(l.negative) >= l.most {
		for other, until := range l.negative {
			if len(l.negative) < l.most && now.Before(until) {
				break
			}
			delete(l.negative, other)
		}
	}
	l.negative[t] = now.Add(negativeFor)
}

func (s *Syncer) lookUp(ctx context.Context, t target) (bool, error) {
	object := t
	if t.kind == store.PlaybackID {
		kind, owner, err := s.cfg.LookupMux.Owner(ctx, playback.ID(t.id))
		if errors.Is(err, ErrGone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		object = target{kind, owner}
	}
	o, found, err := s.ask(ctx, s.cfg.LookupMux, object)
	if err != nil || !found {
		return false, err
	}
	return true, s.write(ctx, []store.Object{o})
}

// Finder says what a playback ID is that the catalogue does not list.
type Finder struct {
	View   *View
	Syncer *Syncer // nil: Mux is not asked
}

// Find looks at a playback ID that View.Lookup did not find. One that was
// there and is gone does not exist, whatever unknown ones are taken for. Where
// unknown ones are looked up, Mux is asked for who is authenticated; nobody else
// may spend what Mux answers per second. nil: it is to be taken for unknown.
func (f *Finder) Find(ctx context.Context, id playback.ID, by playback.Asker) (*playback.Object, error) {
	gone := f.View.Gone(id)
	if f.Syncer == nil || !f.Syncer.cfg.Lookup {
		if gone {
			return nil, noSuchID(id, "was there and is gone")
		}
		return nil, nil //nolint:nilnil // unknown
	}
	switch {
	case gone:
		return nil, noSuchID(id, "was there and is gone")
	case !by.Authenticated:
		return nil, noSuchID(id, "is not in the catalogue, and Mux is not asked for who is anonymous")
	}
	found, err := f.Syncer.find(ctx, target{store.PlaybackID, string(id)}, by)
	if err != nil {
		return nil, err
	}
	if object, ok := f.View.Lookup(id); found && ok {
		return object, nil
	}
	return nil, noSuchID(id, "is not in the catalogue, and Mux has none, or had none within the last minute")
}

func noSuchID(id playback.ID, why string) *playback.Error {
	return playback.Errorf(playback.CodeUnknownPlaybackID, "There is no such playback ID.").Because(fmt.Errorf("playback ID %s %s", id, why))
}

// FindAsset makes the catalogue list an asset's playback IDs, if Mux has it and
// Find would ask for them.
func (f *Finder) FindAsset(ctx context.Context, id playback.AssetID, by playback.Asker) error {
	return f.findObject(ctx, target{store.Asset, string(id)}, by)
}

// FindLiveStream is FindAsset for live streams.
func (f *Finder) FindLiveStream(ctx context.Context, id playback.LiveStreamID, by playback.Asker) error {
	return f.findObject(ctx, target{store.LiveStream, string(id)}, by)
}

func (f *Finder) findObject(ctx context.Context, t target, by playback.Asker) error {
	if f.Syncer == nil || !f.Syncer.cfg.Lookup || !by.Authenticated {
		return nil
	}
	_, err := f.Syncer.find(ctx, t, by)
	return err
}
