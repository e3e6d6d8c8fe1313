package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// Run holds a driver to what package store promises. open returns another
// handle to the same records each time, as a replica has it; the suite closes
// none.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func(*testing.T) store.Store){
		"the newest version of an object counts, in any order": anyOrder,
		"deleted is final": deletedIsFinal,
		"what was said at one time is joined, in any order":        joinedInAnyOrder,
		"playback IDs that are gone are remembered, in any order":  gone,
		"an event is taken once":                                   eventOnce,
		"an event is forgotten":                                    eventForgotten,
		"changes come in order to every replica":                   changesInOrder,
		"changes of one environment":                               changesOfOne,
		"writes at once lose nothing":                              writesAtOnce,
		"one replica reads everything":                             oneSync,
		"a grant comes back as it was put":                         grantRoundTrip,
		"a grant that is put again keeps its first play":           grantPutAgain,
		"a viewer's grants are their own":                          grantsOfViewer,
		"a rental is begun once, however many ask":                 startOnce,
		"the ledger keeps the latest":                              ledgerLatest,
		"turns are spaced out for all":                             turns,
		"a job is claimed and done once":                           jobOnce,
		"jobs of one key are one":                                  jobsOfOneKey,
		"a job that is added again is done again":                  jobAddedAgain,
		"a job that failed waits":                                  jobRetried,
		"a job whose owner is dead is taken over":                  jobOfTheDead,
		"a job of an unknown kind is left to others":               jobKinds,
		"jobs are bounded, and an event without room is not noted": jobsBounded,
		"a job comes with its event":                               jobWithItsEvent,
		"jobs that are claimed at once are done once":              jobsAtOnce,
		"a job that a clock ahead has put off is due":              futureJob,
		"replicas whose clocks differ lose no job":                 jobsOfTwoClocks,
		"jobs are counted":                                         jobsCounted,
		"an ended context ends the call":                           endedContext,
		"checkpoints tell one history from another":                checkpoints,
		"a reading of a clock that was ahead does not count":       futureSync,
		"a turn of a clock that was ahead does not count":          futureTurn,
		"a viewer has no more grants than the limit":               grantLimit,
		"a viewer's grants of some scopes":                         grantsOfScopes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// environment returns one that nobody else uses.
func environment() playback.EnvironmentID {
	return playback.EnvironmentID(fmt.Sprintf("env-%016x", rand.Uint64())) //nolint:gosec // nothing depends on its being hard to guess
}

func asset(env playback.EnvironmentID, id string, version int64, data string) store.Object {
	return store.Object{Environment: env, Kind: store.Asset, ID: id, Version: version, Data: []byte(data)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// contents returns what the store has of an environment, without Seq.
func contents(t *testing.T, s store.Store, env playback.EnvironmentID) map[string]store.Object {
	t.Helper()
	out := map[string]store.Object{}
	var last int64
	must(t, s.Changes(t.Context(), env, 0, func(o *store.Object) error {
		if o.Seq <= last || o.Environment != env {
			t.Errorf("change %d of %s after %d", o.Seq, o.Environment, last)
		}
		last = o.Seq
		kept := *o
		kept.Seq = 0
		out[string(o.Kind)+" "+o.ID] = kept
		return nil
	}))
	return out
}

func eventOnce(t *testing.T, open func(*testing.T) store.Store) {
	s, other := open(t), open(t)
	env := environment()
	event := &store.Event{Environment: env, ID: "e1", At: time.Unix(1000, 0)}
	_, fresh, err := s.Apply(t.Context(), event, []store.Object{asset(env, "A1", 10, "a")}, union)
	must(t, err)
	if !fresh {
		t.Error("a first event was taken before")
	}
	applied, fresh, err := other.Apply(t.Context(), event, []store.Object{asset(env, "A1", 20, "b")}, union)
	must(t, err)
	if fresh || applied[0] {
		t.Error("an event was taken twice")
	}
	if got := contents(t, s, env)["asset A1"]; got.Version != 10 {
		t.Errorf("version %d, want that of the first delivery", got.Version)
	}
	_, fresh, err = s.Apply(t.Context(), &store.Event{Environment: environment(), ID: "e1", At: event.At}, nil, union)
	must(t, err)
	if !fresh {
		t.Error("another environment's event of the same ID counts")
	}
}

func eventForgotten(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	// Long ago, so that what other tests noted stays.
	old, young := &store.Event{Environment: env, ID: "old", At: time.Unix(10, 0)}, &store.Event{Environment: env, ID: "young", At: time.Unix(20, 0)}
	for _, e := range []*store.Event{old, young} {
		_, _, err := s.Apply(t.Context(), e, nil, union)
		must(t, err)
	}
	must(t, s.ForgetEvents(t.Context(), time.Unix(20, 0)))
	for e, want := range map[*store.Event]bool{old: true, young: false} {
		_, fresh, err := s.Apply(t.Context(), e, nil, union)
		must(t, err)
		if fresh != want {
			t.Errorf("event %s: fresh is %v, want %v", e.ID, fresh, want)
		}
	}
}

func changesInOrder(t *testing.T, open func(*testing.T) store.Store) {
	s, replica := open(t), open(t)
	env := environment()
	var last int64
	seen := func() (ids string) {
		must(t, replica.Changes(t.Context(), env, last, func(o *store.Object) error {
			last, ids = o.Seq, ids+o.ID+fmt.Sprint(o.Version, o.Deleted, " ")
			return nil
		}))
		return ids
	}
	_, _, err := s.Apply(t.Context(), nil, []store.Object{asset(env, "B", 1, "x"), asset(env, "A", 1, "x")}, union)
	must(t, err)
	if got := seen(); got != "B1 false A1 false " {
		t.Errorf("first %q", got)
	}
	_, _, err = s.Apply(t.Context(), nil, []store.Object{{Environment: env, Kind: store.Asset, ID: "B", Version: 2, Deleted: true}}, union)
	must(t, err)
	if got := seen(); got != "B2 true " {
		t.Errorf("then %q", got)
	}
	if got := seen(); got != "" {
		t.Errorf("nothing changed, but %q", got)
	}
	stop := errors.New("enough")
	if err := s.Changes(t.Context(), env, 0, func(*store.Object) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("yield's error became %v", err)
	}
}

func changesOfOne(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	one, two := environment(), environment()
	many := make([]store.Object, 4500) // more than a page
	for i := range many {
		many[i] = asset(one, fmt.Sprintf("A%d", i), 1, "x")
	}
	_, _, err := s.Apply(t.Context(), nil, append(many, asset(two, "B", 1, "y")), union)
	must(t, err)
	if got := contents(t, s, one); len(got) != len(many) {
		t.Errorf("%d objects, want %d", len(got), len(many))
	}
	if got := contents(t, s, two); len(got) != 1 {
		t.Errorf("%d objects, want 1", len(got))
	}
	all := 0
	must(t, s.Changes(t.Context(), "", 0, func(o *store.Object) error {
		if o.Environment == one || o.Environment == two {
			all++
		}
		return nil
	}))
	if all != len(many)+1 {
		t.Errorf("%d objects of all environments, want %d", all, len(many)+1)
	}
}

// writesAtOnce writes from several replicas while one reads along: whoever
// reads on from the last Seq must miss nothing.
func writesAtOnce(t *testing.T, open func(*testing.T) store.Store) {
	const writers, each = 4, 25
	env := environment()
	reader := open(t)
	var wg sync.WaitGroup
	for w := range writers {
		s := open(t)
		wg.Go(func() {
			for i := range each {
				o := asset(env, fmt.Sprintf("A%d-%d", w, i), 1, "x")
				if _, _, err := s.Apply(context.Background(), nil, []store.Object{o}, union); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := map[string]bool{}
	var last int64
	read := func() {
		must(t, reader.Changes(t.Context(), env, last, func(o *store.Object) error {
			last, seen[o.ID] = o.Seq, true
			return nil
		}))
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		read()
	}
	if len(seen) != writers*each {
		t.Errorf("the reader saw %d of %d objects", len(seen), writers*each)
	}
}

func oneSync(t *testing.T, open func(*testing.T) store.Store) {
	s, other := open(t), open(t)
	env := environment()
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	claim := func(s store.Store, due, now int64) bool {
		ok, err := s.ClaimSync(t.Context(), env, store.SyncClaim{Due: at(due), Now: at(now), Until: at(now + 10)})
		must(t, err)
		return ok
	}
	if !claim(s, 90, 100) {
		t.Error("what nobody has read cannot be claimed")
	}
	if claim(other, 90, 105) {
		t.Error("two read at once")
	}
	must(t, s.ExtendSync(t.Context(), env, at(120)))
	if claim(other, 90, 115) {
		t.Error("two read at once, though the first said it goes on")
	}
	if !claim(other, 90, 121) {
		t.Error("the claim of one who died stays")
	}
	must(t, other.EndSync(t.Context(), env, time.Time{}))
	if !claim(s, 90, 122) {
		t.Error("what came to nothing was not claimed again")
	}
	must(t, s.EndSync(t.Context(), env, at(122)))
	if claim(other, 122, 123) {
		t.Error("what was just read is read again")
	}
	if !claim(other, 123, 500) {
		t.Error("what is due is not read again")
	}
}

// futureSync has a claim and a reading of a clock that was ten years ahead.
func futureSync(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	now, ahead := time.Unix(1_800_000_000, 0), time.Unix(2_100_000_000, 0)
	claim := func(at time.Time) bool {
		ok, err := s.ClaimSync(t.Context(), env, store.SyncClaim{Due: at.Add(-24 * time.Hour), Now: at, Until: at.Add(time.Minute)})
		must(t, err)
		return ok
	}
	if !claim(ahead) || !claim(now) {
		t.Error("a claim of the future keeps others from reading")
	}
	must(t, s.EndSync(t.Context(), env, ahead))
	if !claim(now) {
		t.Error("a reading of the future keeps others from reading")
	}
	must(t, s.EndSync(t.Context(), env, time.Time{}))
	if !claim(now) {
		t.Error("a reading that came to nothing counts")
	}
	must(t, s.EndSync(t.Context(), env, now))
	if claim(now.Add(time.Hour)) {
		t.Error("the reading of the future stays, and everything is read again and again")
	}
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	bytesAlike := cmp.Comparer(bytes.Equal)
	if diff := cmp.Diff(want, got, bytesAlike); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func ledgerLatest(t *testing.T, open func(*testing.T) store.Store) {
	s, other := open(t), open(t)
	env := environment()
	must(t, s.RaiseExpiries(t.Context(), []store.Expiry{{Environment: env, Key: "K1", Exp: 100}, {Environment: env, Key: "K2", Exp: 5}}))
	must(t, other.RaiseExpiries(t.Context(), []store.Expiry{{Environment: env, Key: "K1", Exp: 90}, {Environment: env, Key: "K2", Exp: 7}}))
	for key, want := range map[playback.KeyID]int64{"K1": 100, "K2": 7, "K3": 0} {
		got, err := s.Expiry(t.Context(), env, key)
		must(t, err)
		if got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
}

func endedContext(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	must(t, s.Ping(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Grant(ctx, environment(), "g"); err == nil {
		t.Error("a grant that is not there was found")
	}
}
