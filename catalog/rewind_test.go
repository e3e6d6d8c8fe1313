package catalog_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
	"github.com/playgate/playgate/store/sqlite"
)

// movable is a store that may become another one under who uses it.
type movable struct {
	store.Store

	failing error // of reads
}

func (m *movable) Changes(ctx context.Context, env playback.EnvironmentID, after int64, yield func(*store.Object) error) error {
	n := 0
	return m.Store.Changes(ctx, env, after, func(o *store.Object) error {
		if n++; n > 1 && m.failing != nil {
			return m.failing
		}
		return yield(o)
	})
}

// opened opens a file, and closes it with the test.
func opened(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// backup copies a store as it is now.
func backup(t *testing.T, path, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.ExecContext(t.Context(), "VACUUM INTO '"+to+"'")
	must(t, errors.Join(err, db.Close()))
}

// settle follows a store until it has what the library knows.
func (w *world) settle(t *testing.T) {
	t.Helper()
	must(t, w.library.Follow(t.Context()))
	must(t, w.library.WriteBack(t.Context()))
	must(t, w.library.Follow(t.Context()))
}

// randomEvents are webhooks of four films with three playback IDs each. A film is
// not heard of any more after it was deleted, but for older news.
func randomEvents(random *rand.Rand, n int) (events [][]byte) {
	deleted := map[int]bool{}
	for i := range n {
		film := random.IntN(4)
		id, asset := fmt.Sprint("e", i), fmt.Sprint("A", film)
		at := time.Unix(1_700_000_000+int64(random.IntN(30)), 0) // ties happen
		if random.IntN(8) == 0 && !deleted[film] {
			deleted[film] = true
			events = append(events, event(id, "video.asset.deleted", asset, at, map[string]any{"id": asset}))
			continue
		}
		var ids []any
		for k := range 3 {
			if random.IntN(2) == 0 {
				ids = append(ids, map[string]any{"id": fmt.Sprintf("P%d%d", film, k), "policy": "signed"})
			}
		}
		events = append(events, event(id, "video.asset.updated", asset, at, map[string]any{"id": asset, "playback_ids": ids, "passthrough": fmt.Sprint("said ", i)}))
	}
	return events
}

// films says what a replica knows of all playback IDs of randomEvents.
func (w *world) films(t *testing.T) string {
	t.Helper()
	v := w.view(t)
	var b strings.Builder
	for film := range 4 {
		for k := range 3 {
			id := playback.ID(fmt.Sprintf("P%d%d", film, k))
			o, known := v.Lookup(id)
			switch {
			case known:
				fmt.Fprintf(&b, "%s %s %q\n", id, o.Asset.ID, o.Asset.Passthrough)
			case v.Gone(id):
				fmt.Fprintln(&b, id, "gone")
			}
		}
	}
	return b.String()
}

// TestAStoreThatWentBackGetsBackWhatIsKnown: a store goes back to a copy that was
// made before, which has gone on on its own, while it is followed. What both heard
// counts, as if nothing had been lost, for who followed and for who starts later.
func TestAStoreThatWentBackGetsBackWhatIsKnown(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(16, 7))
	for round := range 40 {
		dir := t.TempDir()
		path, copied := filepath.Join(dir, "p.db"), filepath.Join(dir, "copy.db")
		moving := &movable{Store: opened(t, path)}
		w := newWorld(t, moving)
		events := randomEvents(random, 30)
		first, lost := 1+random.IntN(12), 13+random.IntN(12)
		take := func(w *world, events [][]byte) {
			for _, body := range events {
				_, err := w.inbox.Take(t.Context(), body)
				must(t, err)
			}
		}
		take(w, events[:first])
		backup(t, path, copied)
		take(w, events[first:lost])
		before := w.films(t)
		restored := opened(t, copied)
		ahead := lost + random.IntN(30-lost)
		take(newWorld(t, restored), events[lost:ahead])
		moving.Store = restored
		w.settle(t)
		if got := w.library.Rewind(); got.Count != 1 {
			t.Fatalf("round %d: %+v, want one rewind", round, got)
		}
		take(w, events[ahead:])
		whole := newWorld(t, memory.New())
		take(whole, events)
		if got, want := w.films(t), whole.films(t); got != want {
			t.Fatalf("round %d: who followed knows\n%swant\n%safter\n%s", round, got, want, before)
		}
		if got, want := newWorld(t, restored).films(t), whole.films(t); got != want {
			t.Fatalf("round %d: who starts later knows\n%swant\n%s", round, got, want)
		}
		w.settle(t)
		if got := w.library.Rewind(); got.Count != 1 {
			t.Fatalf("round %d: %+v, want one rewind still", round, got)
		}
	}
}

// TestAStoreThatWentBackHidesNothingMeanwhile: what is known stays in force while
// the store is read anew, also if that fails, and if the store comes back.
func TestAStoreThatWentBackHidesNothingMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "p.db"), filepath.Join(dir, "copy.db")
	original := opened(t, path)
	moving := &movable{Store: original}
	w := newWorld(t, moving)
	for _, id := range []string{"A1", "A2", "A3"} {
		said := event("e"+id, "video.asset.updated", id, time.Unix(1_700_000_000, 0), map[string]any{
			"id": id, "playback_ids": []any{map[string]any{"id": "P" + id, "policy": "signed"}},
		})
		_, err := w.inbox.Take(t.Context(), said)
		must(t, err)
		if id == "A2" {
			backup(t, path, copied)
		}
	}
	v := w.view(t)
	known := func() {
		t.Helper()
		for _, id := range []playback.ID{"PA1", "PA2", "PA3"} {
			if _, ok := v.Lookup(id); !ok {
				t.Errorf("%s is not known any more", id)
			}
		}
	}
	moving.Store, moving.failing = opened(t, copied), errors.New("the connection broke")
	if err := w.library.Follow(t.Context()); !errors.Is(err, moving.failing) {
		t.Errorf("reading anew: %v", err)
	}
	known()
	moving.Store, moving.failing = original, nil
	w.settle(t)
	known()
	if got := w.library.Rewind(); got.Count != 0 {
		t.Errorf("%+v, though the store is what it was", got)
	}
	moving.Store = opened(t, filepath.Join(dir, "empty.db"))
	w.settle(t)
	known()
	if got := w.library.Rewind(); got.Count != 1 || got.Owed != 3 {
		t.Errorf("%+v, want three objects that are written back", got)
	}
	if late := newWorld(t, moving.Store); late.live.Len() != 3 {
		t.Errorf("who starts later knows %d playback IDs, want 3", late.live.Len())
	}
}

// TestMuchIsWrittenBackBitByBit: who follows meanwhile sees what comes.
func TestMuchIsWrittenBackBitByBit(t *testing.T) {
	t.Parallel()
	const films = 4500
	moving := &movable{Store: memory.New()}
	w := newWorld(t, moving)
	objects := make([]store.Object, films)
	for i := range objects {
		id := fmt.Sprint("A", i)
		objects[i] = store.Object{Environment: env, Kind: store.Asset, ID: id, Version: 1, PlaybackIDs: []playback.ID{playback.ID("P" + id)}, Data: []byte(`{"policies":["signed"]}`)}
	}
	_, err := w.library.Write(t.Context(), nil, objects)
	must(t, err)
	moving.Store = memory.New()
	follower := newWorld(t, moving.Store)
	must(t, w.library.Follow(t.Context()))
	for before := 0; before < films; {
		must(t, w.library.WriteBack(t.Context()))
		must(t, follower.library.Follow(t.Context()))
		if n := follower.live.Len(); n <= before || before == 0 && n == films {
			t.Fatalf("%d of %d films are written back after %d", n, films, before)
		} else {
			before = n
		}
	}
	must(t, w.library.WriteBack(t.Context()))
	if w.live.Len() != films {
		t.Errorf("%d films are known", w.live.Len())
	}
}

// TestARewindIsReportedAndMuxIsReadAnew: one ERROR line, and everything is read
// from Mux although it was read a moment before.
func TestARewindIsReportedAndMuxIsReadAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		moving := &movable{Store: memory.New()}
		library, err := catalog.NewLibrary(t.Context(), moving, []playback.EnvironmentID{env})
		must(t, err)
		live, err := library.Live(t.Context(), env)
		must(t, err)
		mux := &countedMux{}
		var log bytes.Buffer
		run := func(d time.Duration) { // as if without a break: nobody uses the store while it changes
			s := catalog.NewSyncer(catalog.SyncConfig{
				Environment: env, Library: library, Live: live, Mux: mux, MaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
			})
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { library.Run(ctx, slog.New(slog.NewTextHandler(&log, nil)), time.Now) })
			running.Go(func() { s.Run(ctx) })
			time.Sleep(d)
			cancel()
			running.Wait()
		}
		run(10 * time.Minute)
		if mux.pages != 2 || log.Len() != 0 { // assets and live streams
			t.Errorf("%d pages were read, %s", mux.pages, &log)
		}
		moved := memory.New()
		must(t, moved.EndSync(t.Context(), env, time.Now())) // as if it had just been read
		moving.Store = moved
		time.Sleep(500 * time.Millisecond)
		run(10 * time.Minute)
		if mux.pages != 4 {
			t.Errorf("%d pages were read, want everything twice", mux.pages)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "went back to an earlier state") {
			t.Errorf("the log: %s", text)
		}
		if r := library.Rewind(); r.At.IsZero() {
			t.Errorf("%+v", r)
		}
	})
}

// countedMux has nothing.
type countedMux struct{ pages int }

func (*countedMux) Object(context.Context, store.Kind, string) (catalog.Said, error) {
	return catalog.Said{}, catalog.ErrGone
}

func (*countedMux) Owner(context.Context, playback.ID) (store.Kind, string, error) {
	return "", "", catalog.ErrGone
}

func (m *countedMux) Page(context.Context, store.Kind, string) (catalog.Page, error) {
	m.pages++
	return catalog.Page{At: time.Now()}, nil
}
