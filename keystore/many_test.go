package keystore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
)

// many is a number of environments at which a cost that grows with its square
// shows.
const many = 2000

// crowd gives many environments of a source one active key each.
func crowd(t *testing.T, f *fake) []playback.EnvironmentID {
	t.Helper()
	key := keystoretest.Key(t, "K1", 1, keystore.Active)
	list := make([]playback.EnvironmentID, many)
	for n := range list {
		list[n] = playback.EnvironmentID(fmt.Sprintf("env-%04d", n))
		f.set(list[n], key)
	}
	return list
}

func (f *fake) loads() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.times {
		n += len(times)
	}
	return n
}

// counted counts how often OnChange was called.
type counted struct {
	mu    sync.Mutex
	calls map[playback.EnvironmentID]int
	all   int
}

// of returns how often it was called for one environment, and for all.
func (c *counted) of(env playback.EnvironmentID) (calls, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[env], c.all
}

func (c *counted) add(env playback.EnvironmentID, _ keystore.Keyset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[env]++
	c.all++
}

func watch(source keystore.Source, environments []playback.EnvironmentID) (*keystore.Watcher, *counted) {
	c := &counted{calls: map[playback.EnvironmentID]int{}}
	w := keystore.NewWatcher(keystore.Config{Source: source, Driver: "fake", Interval: 10 * time.Second, Logger: slog.New(slog.DiscardHandler), OnChange: c.add})
	w.SetEnvironments(environments)
	return w, c
}

// TestStartReadsEveryEnvironmentHoweverLongThatTakes: reading goes on as long as
// the source answers; there is no deadline for all environments together.
func TestStartReadsEveryEnvironmentHoweverLongThatTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes = 100 * time.Millisecond
		list := crowd(t, f)
		w, changes := watch(f, list)
		begun := time.Now()
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		if took := time.Since(begun); took < 45*time.Second {
			t.Fatalf("Start took %v: this must take longer than any deadline would be", took)
		}
		for _, env := range list {
			if _, ok := w.Keyset(env).Active(); !ok || !w.Tried(env) {
				t.Fatalf("%s: tried %v, active key %v", env, w.Tried(env), ok)
			}
		}
		if _, all := changes.of(""); f.loads() != many || all != many {
			t.Errorf("%d readings, %d calls of OnChange, want %d of each", f.loads(), all, many)
		}
	})
}

// TestAnEnvironmentThatWasNotReachedIsNotTried: contract §2, readiness.
func TestAnEnvironmentThatWasNotReachedIsNotTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes = time.Second
		list := crowd(t, f)
		w, _ := watch(f, list)
		go func() {
			time.Sleep(10*time.Second + 500*time.Millisecond)
			tried := 0
			for _, env := range list {
				if w.Tried(env) != (w.Keyset(env).Keys != nil) {
					t.Errorf("%s: tried %v, keys %v", env, w.Tried(env), w.Keyset(env))
				}
				if w.Tried(env) {
					tried++
				}
			}
			if tried != 40 {
				t.Errorf("%d environments count as tried after 10 s, want the 40 that were read", tried)
			}
		}()
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Stop()
	})
}

// TestASourceThatStallsIsReadInTheBackground: what a round did not reach is not
// tried, and read afterwards.
func TestASourceThatStallsIsReadInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes = 10 * time.Millisecond
		list := crowd(t, f)
		w, _ := watch(f, list)
		go func() {
			time.Sleep(2*time.Second + 5*time.Millisecond)
			f.mu.Lock()
			f.hang = true
			f.mu.Unlock()
		}()
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		tried, hanging := 0, 0
		for _, env := range list {
			switch asked := len(f.calls(env)) > 0; {
			case w.Tried(env) && !asked:
				t.Fatalf("%s counts as tried, but was not read", env)
			case w.Tried(env):
				tried++
			case asked:
				hanging++
			}
		}
		if hanging > 20 { // the round's and those of the background
			t.Errorf("%d were read and do not count as tried, want those alone that hang", hanging)
		}
		if tried < 400 || tried > 1000 {
			t.Errorf("%d tried when the round gave up, want those that were reached", tried)
		}
		f.mu.Lock()
		f.hang = false
		f.mu.Unlock()
		time.Sleep(time.Minute)
		for _, env := range list {
			if _, ok := w.Keyset(env).Active(); !ok {
				t.Fatalf("%s has no key after the source came back", env)
			}
		}
	})
}

// comparing is a fake that can tell whether it changed.
type comparing struct {
	*fake

	watches bool // it tells of changes
	asked   atomic.Int64
	mu      sync.Mutex
	moves   map[playback.EnvironmentID]int // how often each environment has changed
	changed func(playback.EnvironmentID)
}

func (c *comparing) Notify(changed func(playback.EnvironmentID)) { c.changed = changed }

func newComparing() *comparing {
	return &comparing{fake: newFake(), moves: map[playback.EnvironmentID]int{}}
}

func (c *comparing) LoadMarked(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, keystore.Mark, error) {
	c.mu.Lock()
	m := &mark{c, env, c.moves[env]}
	c.mu.Unlock()
	records, problems, err := c.Load(ctx, env)
	return records, problems, m, err
}

func (c *comparing) move(env playback.EnvironmentID) {
	c.mu.Lock()
	c.moves[env]++
	c.mu.Unlock()
	if c.watches {
		c.changed(env)
	}
}

type mark struct {
	source *comparing
	env    playback.EnvironmentID
	moves  int
}

func (m *mark) Unchanged() bool {
	m.source.asked.Add(1)
	m.source.mu.Lock()
	defer m.source.mu.Unlock()
	return m.source.moves[m.env] == m.moves
}

func (m *mark) Watched() bool { return m.source.watches }

// TestOneEnvironmentsKeysCostTheOthersNothing counts: what changes in one of many
// environments is read once and published once, and nothing else is.
func TestOneEnvironmentsKeysCostTheOthersNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newComparing()
		list := crowd(t, f.fake)
		w, changes := watch(f, list)
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		time.Sleep(10 * time.Minute)
		if _, all := changes.of(""); f.loads() != many || all != many {
			t.Fatalf("%d readings and %d calls of OnChange, want %d: nothing has changed", f.loads(), all, many)
		}
		if n := f.asked.Load(); n < 60*many || n > 80*many {
			t.Errorf("asked %d times in 10 minutes, want once in 8 to 10 s for each of %d", n, many)
		}
		before := w.Keyset(list[1])
		f.set(list[0], keystoretest.Key(t, "K2", 2, keystore.Active))
		f.move(list[0])
		time.Sleep(time.Minute)
		if key, _ := w.Keyset(list[0]).Active(); key == nil || key.ID != "K2" {
			t.Errorf("active: %v, want K2", key)
		}
		if ones, all := changes.of(list[0]); f.loads() != many+1 || all != many+1 || ones != 2 {
			t.Errorf("%d readings, %d calls of OnChange, %d of them for the environment that changed; want %d, %d and 2",
				f.loads(), all, ones, many+1, many+1)
		}
		if before.Keys[0] != w.Keyset(list[1]).Keys[0] {
			t.Error("another environment's keys were replaced")
		}
		if at, failing := w.LastRead(list[1]); failing || time.Since(at) > 10*time.Second {
			t.Errorf("what is known to be unchanged was last read at %v, failing %v", at, failing)
		}
		if err := w.Reload(t.Context()); err != nil || f.loads() != many+1 {
			t.Errorf("Reload = %v, and read %d environments in which nothing has changed", err, f.loads()-many-1)
		}
	})
}

// TestASourceThatTellsOfChangesIsAskedSeldom: and what it tells is read as soon as
// it would be otherwise, once.
func TestASourceThatTellsOfChangesIsAskedSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newComparing()
		f.watches = true
		list := crowd(t, f.fake)
		w, changes := watch(f, list)
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		time.Sleep(11 * time.Second) // each mark is asked once, and watched from then on
		f.asked.Store(0)
		time.Sleep(10 * time.Minute)
		if n := f.asked.Load(); n < 18*many || n > 26*many {
			t.Errorf("asked %d times in 10 minutes, want once in 24 to 30 s for each of %d", n, many)
		}
		asked := f.asked.Load()
		if err := w.Reload(t.Context()); err != nil || f.asked.Load() != asked+many {
			t.Errorf("Reload = %v, and asked %d times, want once for each of %d", err, f.asked.Load()-asked, many)
		}
		f.set(list[0], keystoretest.Key(t, "K2", 2, keystore.Active))
		for range 3 {
			f.move(list[0])
		}
		time.Sleep(10*time.Second + 100*time.Millisecond)
		if key, _ := w.Keyset(list[0]).Active(); key == nil || key.ID != "K2" {
			t.Errorf("active 10 s after the source told of a change: %v, want K2", key)
		}
		if _, all := changes.of(""); f.loads() != many+1 || all != many+1 {
			t.Errorf("%d readings, %d calls of OnChange, want %d of each", f.loads(), all, many+1)
		}
		time.Sleep(30 * time.Second)
		f.set(list[1], keystoretest.Key(t, "K2", 2, keystore.Active))
		f.move(list[1])
		if err := w.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if key, _ := w.Keyset(list[1]).Active(); key == nil || key.ID != "K2" {
			t.Errorf("active after a reload: %v, want K2, of which the source has told", key)
		}
		f.move("elsewhere")
		w.SetEnvironments(list[1:])
		f.move(list[0])
		time.Sleep(time.Minute)
		if n := f.loads(); n != many+2 {
			t.Errorf("%d readings of what is not watched", n-many-2)
		}
	})
}

// TestWhatIsNotCertainIsReadAlthoughNothingChanged: a source that cannot be read, a
// problem that may pass and keys that contradict each other are looked at again.
func TestWhatIsNotCertainIsReadAlthoughNothingChanged(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *fake){
		"unavailable": func(_ *testing.T, f *fake) { f.fail(errors.New("sealed")) },
		"kept":        func(_ *testing.T, f *fake) { f.problems = []keystore.Problem{{Path: "K1", Kept: true}} },
		"passing": func(_ *testing.T, f *fake) {
			f.problems = []keystore.Problem{{Path: "K1", Reason: "odd " + time.Now().String(), Passing: true}}
		},
		"contradicting": func(t *testing.T, f *fake) {
			f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Stateless), keystoretest.Key(t, "K2", 2, keystore.Stateless))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newComparing()
			f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
			w, _ := watch(f, []playback.EnvironmentID{acme})
			if err := w.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			spoil(t, f.fake)
			f.move(acme)
			time.Sleep(10*time.Second + 100*time.Millisecond)
			before := f.loads()
			time.Sleep(10*time.Second + 100*time.Millisecond)
			if f.loads() <= before {
				t.Errorf("%s: not read again", name)
			}
		})
	}
}
