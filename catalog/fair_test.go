package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
)

// paced is a Mux that answers five requests a second, one after the other, and
// has the objects that are listed.
type paced struct {
	mu    sync.Mutex
	next  time.Time
	asked []string
	has   map[playback.ID]string // playback ID → asset
}

func (p *paced) answer(ctx context.Context, id string) error {
	p.mu.Lock()
	p.asked = append(p.asked, id)
	wait := max(0, time.Until(p.next))
	p.next = time.Now().Add(wait + 200*time.Millisecond)
	p.mu.Unlock()
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *paced) Owner(ctx context.Context, id playback.ID) (store.Kind, string, error) {
	if err := p.answer(ctx, string(id)); err != nil {
		return "", "", err
	}
	if owner, ok := p.has[id]; ok {
		return store.Asset, owner, nil
	}
	return "", "", catalog.ErrGone
}

func (p *paced) Object(ctx context.Context, _ store.Kind, id string) (catalog.Said, error) {
	if err := p.answer(ctx, id); err != nil {
		return catalog.Said{}, err
	}
	for playbackID, owner := range p.has {
		if owner == id {
			data := fmt.Sprintf(`{"id":%q,"status":"ready","playback_ids":[{"id":%q,"policy":"signed"}]}`, id, playbackID)
			return catalog.Said{Data: []byte(data), At: time.Now()}, nil
		}
	}
	return catalog.Said{}, catalog.ErrGone
}

func (*paced) Page(context.Context, store.Kind, string) (catalog.Page, error) {
	return catalog.Page{}, nil
}

func (p *paced) times(prefix string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(p.asked), func(id string) bool { return !strings.HasPrefix(id, prefix) }))
}

// lookUps returns a Finder of one environment that asks that Mux; it ends with
// the test's bubble.
func lookUps(t *testing.T, mux *paced, env playback.EnvironmentID) *catalog.Finder {
	t.Helper()
	library, err := catalog.NewLibrary(t.Context(), memory.New(), []playback.EnvironmentID{env})
	must(t, err)
	live, err := library.Live(t.Context(), env)
	must(t, err)
	view := live.View(mustCatalog(t))
	syncer := catalog.NewSyncer(catalog.SyncConfig{
		Environment: env, Library: library, Live: live, Mux: mux, MaxAge: time.Hour, Lookup: true,
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { syncer.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	synctest.Wait()
	return &catalog.Finder{View: view, Syncer: syncer}
}

func caller(name string) playback.Asker { return playback.Asker{Authenticated: true, Caller: name} }

// TestAFewViewersCannotStarveFirstLookUps: each of five asks for random IDs, as
// fast as it can, for ten minutes; another viewer's first look-ups are answered
// all the same, and soon nearly all of Mux's answers are for others.
func TestAFewViewersCannotStarveFirstLookUps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mux := &paced{has: map[playback.ID]string{}}
		for n := range 20 {
			mux.has[playback.ID(fmt.Sprintf("Good%d", n))] = fmt.Sprintf("Asset%d", n)
		}
		finder := lookUps(t, mux, env)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		for a := range 5 {
			for thread := range 20 {
				wg.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						_, _ = finder.Find(ctx, playback.ID(fmt.Sprintf("Random%dx%dx%d", a, thread, n)), caller(fmt.Sprint("attacker", a)))
						time.Sleep(100 * time.Millisecond)
					}
				})
			}
		}
		synctest.Wait()
		for n := range 20 {
			id := playback.ID(fmt.Sprintf("Good%d", n))
			_, err := finder.Find(t.Context(), id, caller("viewer"))
			for tries := 0; err != nil && tries < 2; tries++ { // as a player does that is told Retry-After: 2
				time.Sleep(2 * time.Second)
				if _, known := finder.View.Lookup(id); known {
					err = nil
					break
				}
				_, err = finder.Find(t.Context(), id, caller("viewer"))
			}
			if err != nil {
				t.Errorf("first look-up %d: %v", n, err)
			}
			time.Sleep(30 * time.Second)
		}
		cancel()
		wg.Wait()
		// Ten each at first, then one every 30 seconds.
		if asked := mux.times("Random"); asked > 5*(10+25) {
			t.Errorf("Mux was asked %d times for random IDs in ten minutes", asked)
		}
	})
}

func TestBudgetsOfLookUps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mux := &paced{has: map[playback.ID]string{}}
		for n := range 50 {
			mux.has[playback.ID(fmt.Sprintf("Good%d", n))] = fmt.Sprintf("Asset%d", n)
		}
		finder := lookUps(t, mux, env)
		find := func(by playback.Asker, id string) error {
			_, err := finder.Find(t.Context(), playback.ID(id), by)
			return err
		}
		for n := range 50 { // what Mux has costs nothing
			must(t, find(caller("v"), fmt.Sprintf("Good%d", n)))
		}
		for n := range 10 {
			if err := find(caller("v"), fmt.Sprintf("Bad%d", n)); !errors.Is(err, playback.CodeUnknownPlaybackID) {
				t.Fatalf("unknown ID %d: %v", n, err)
			}
		}
		asked := mux.times("")
		refusal := &playback.Error{}
		if err := find(caller("v"), "Bad10"); !errors.As(err, &refusal) || refusal.Code != playback.CodeRateLimited || refusal.RetryAfter <= 0 || refusal.RetryAfter > 30*time.Second {
			t.Errorf("the eleventh unknown ID: %v", err)
		}
		if err := finder.FindAsset(t.Context(), "Bad", caller("v")); !errors.Is(err, playback.CodeRateLimited) {
			t.Errorf("an asset after ten unknown IDs: %v", err)
		}
		if err := find(caller("v"), "Bad3"); !errors.Is(err, playback.CodeUnknownPlaybackID) || mux.times("") != asked {
			t.Errorf("what is known to be unknown costs nothing: %v", err)
		}
		if err := find(caller("w"), "Bad10"); !errors.Is(err, playback.CodeUnknownPlaybackID) {
			t.Errorf("another viewer: %v", err)
		}
		time.Sleep(30 * time.Second)
		if err := find(caller("v"), "Bad11"); !errors.Is(err, playback.CodeUnknownPlaybackID) {
			t.Errorf("after 30 s: %v", err)
		}
		if err := find(caller("v"), "Bad12"); !errors.Is(err, playback.CodeRateLimited) {
			t.Errorf("twice after 30 s: %v", err)
		}
		// A viewer whom a backend names has a viewer's budget, the backend its own.
		backend := playback.Asker{Authenticated: true, Caller: "t:backend", Backend: true, Viewer: "4:mainu1"}
		for n := range 11 {
			want := playback.CodeUnknownPlaybackID
			if n == 10 {
				want = playback.CodeRateLimited
			}
			if err := find(backend, fmt.Sprintf("Named%d", n)); !errors.Is(err, want) {
				t.Errorf("unknown ID %d for a named viewer: %v, want %s", n, err, want)
			}
		}
		backend.Viewer = "4:mainu2"
		if err := find(backend, "Named11"); !errors.Is(err, playback.CodeUnknownPlaybackID) {
			t.Errorf("for another named viewer: %v", err)
		}
	})
}

// TestUnknownIDsAreRememberedPerEnvironment: what is asked in one environment
// does not make another one forget.
func TestUnknownIDsAreRememberedPerEnvironment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mux := &paced{}
		quiet, loud := lookUps(t, mux, env), lookUps(t, mux, "other")
		if _, err := quiet.Find(t.Context(), "Quiet", someone); !errors.Is(err, playback.CodeUnknownPlaybackID) {
			t.Fatal(err)
		}
		for n := range 100 {
			_, _ = loud.Find(t.Context(), playback.ID(fmt.Sprintf("Loud%d", n)), caller(fmt.Sprint("viewer", n)))
		}
		if _, err := quiet.Find(t.Context(), "Quiet", someone); !errors.Is(err, playback.CodeUnknownPlaybackID) || mux.times("Quiet") != 1 {
			t.Errorf("Mux was asked %d times: %v", mux.times("Quiet"), err)
		}
	})
}

// TestABudgetSurvivesAClockThatIsSetBack: nobody waits for the time that was.
func TestABudgetSurvivesAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	must(t, w.SetAsset("mux1", film(muxsim.AssetID("A1"), "P1")))
	var mu sync.Mutex
	ahead := 10 * 365 * 24 * time.Hour
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	f := catalog.Finder{View: w.view(t), Syncer: w.sync(t, lookup, func(c *catalog.SyncConfig) { c.Now = now })}
	eventually(t, "the budget is spent", func() bool {
		for n := range 11 {
			if _, err := f.Find(t.Context(), playback.ID(fmt.Sprintf("Bad%d", n)), someone); errors.Is(err, playback.CodeRateLimited) {
				return true
			}
		}
		return false
	})
	asked := w.asked.Load()
	mu.Lock()
	ahead = 0
	mu.Unlock()
	if _, err := f.Find(t.Context(), "Bad1", caller("other")); !errors.Is(err, playback.CodeUnknownPlaybackID) || w.asked.Load() == asked {
		t.Errorf("an unknown ID is remembered until the clock's earlier time: %v", err)
	}
	if _, err := f.Find(t.Context(), "Bad2", someone); !errors.Is(err, playback.CodeRateLimited) {
		t.Errorf("right after the clock was set back: %v", err)
	}
	mu.Lock()
	ahead = time.Minute
	mu.Unlock()
	if _, err := f.Find(t.Context(), "Bad2", someone); !errors.Is(err, playback.CodeUnknownPlaybackID) {
		t.Errorf("the budget does not come back: %v", err)
	}
}
