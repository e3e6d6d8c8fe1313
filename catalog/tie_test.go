package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
	"github.com/playgate/playgate/store/postgres"
	"github.com/playgate/playgate/store/sqlite"
	"github.com/playgate/playgate/store/storetest"
)

// report is one webhook about the object X.
type report struct {
	kind   string // after "video.", such as "asset.ready"
	status string
	ids    string // playback IDs, by spaces
	second int64
}

func (r report) body(id string) []byte {
	ids := []any{}
	for p := range strings.FieldsSeq(r.ids) {
		ids = append(ids, map[string]any{"id": p, "policy": "signed"})
	}
	data := map[string]any{"id": "X", "status": r.status, "playback_ids": ids}
	return event(id, "video."+r.kind, "X", time.Unix(1_700_000_000+r.second, 0), data)
}

// seen is what the catalogue says of X: its state, and its playback IDs.
func (w *world) seen(t *testing.T, universe ...string) string {
	t.Helper()
	v := w.view(t)
	var listed, gone []string
	status := "none"
	for _, o := range append(v.ByAsset("X"), v.ByLiveStream("X")...) {
		listed = append(listed, string(o.ID))
		if o.Asset != nil {
			status = o.Asset.Status
		} else {
			status = o.LiveStream.Status
		}
		if found, ok := v.Lookup(o.ID); !ok || found != o {
			t.Errorf("Lookup(%s) = %v, %v", o.ID, found, ok)
		}
	}
	for _, id := range universe {
		if v.Gone(playback.ID(id)) {
			gone = append(gone, id)
		}
	}
	slices.Sort(listed)
	slices.Sort(gone)
	return fmt.Sprint(status, " ", listed, " gone ", gone)
}

// TestTwoWebhooksInOneSecond: whichever comes first, the stricter state counts,
// what either lists is there, and Mux is asked.
func TestTwoWebhooksInOneSecond(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		a, b report
		want string
		asks bool
	}{
		{"idle and disabled", report{kind: "live_stream.idle", status: "idle", ids: "P1"}, report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}, "disabled [P1] gone []", true},
		{"active and disabled", report{kind: "live_stream.active", status: "active", ids: "P1"}, report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}, "disabled [P1] gone []", true},
		{"enabled and disabled", report{kind: "live_stream.enabled", status: "idle", ids: "P1"}, report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}, "disabled [P1] gone []", true},
		{"active and idle", report{kind: "live_stream.active", status: "active", ids: "P1"}, report{kind: "live_stream.idle", status: "idle", ids: "P1"}, "idle [P1] gone []", true},
		{"a state of Mux's that is new here", report{kind: "live_stream.updated", status: "zzz", ids: "P1"}, report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}, "disabled [P1] gone []", true},
		{"ready and errored", report{kind: "asset.ready", status: "ready", ids: "P1"}, report{kind: "asset.errored", status: "errored", ids: "P1"}, "errored [P1] gone []", true},
		{"preparing and errored", report{kind: "asset.created", status: "preparing", ids: "P1"}, report{kind: "asset.errored", status: "errored", ids: "P1"}, "errored [P1] gone []", true},
		{"created and ready", report{kind: "asset.created", status: "preparing", ids: "P1"}, report{kind: "asset.ready", status: "ready", ids: "P1"}, "ready [P1] gone []", true},
		{"ready and deleted", report{kind: "asset.ready", status: "ready", ids: "P1"}, report{kind: "asset.deleted", status: "ready", ids: "P1"}, "none [] gone [P1]", false},
		{"disabled and deleted", report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}, report{kind: "live_stream.deleted"}, "none [] gone [P1]", false},
		{"a playback ID more", report{kind: "asset.ready", status: "ready", ids: "P1"}, report{kind: "asset.updated", status: "ready", ids: "P1 P2"}, "ready [P1 P2] gone []", true},
		{"another playback ID", report{kind: "asset.ready", status: "ready", ids: "P2"}, report{kind: "asset.updated", status: "ready", ids: "P1"}, "ready [P1 P2] gone []", true},
		{"no playback ID", report{kind: "asset.ready", status: "ready", ids: "P1"}, report{kind: "asset.errored", status: "errored"}, "errored [P1] gone []", true},
		{"the same", report{kind: "asset.ready", status: "ready", ids: "P1"}, report{kind: "asset.updated", status: "ready", ids: "P1"}, "ready [P1] gone []", false},
		{"a second apart", report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}, report{kind: "live_stream.enabled", status: "idle", ids: "P2", second: 1}, "idle [P2] gone [P1]", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, order := range [][2]report{{c.a, c.b}, {c.b, c.a}} {
				w := newWorld(t, nil)
				w.inbox.Outbox = w.records
				for i, r := range order {
					_, err := w.inbox.Take(t.Context(), r.body(fmt.Sprint("e", i)))
					must(t, err)
				}
				if got := w.seen(t, "P1", "P2"); got != c.want {
					t.Errorf("%s, then %s: %s, want %s", order[0].kind, order[1].kind, got, c.want)
				}
				if asked := w.jobs(t); (asked != "") != c.asks {
					t.Errorf("%s, then %s: Mux is asked about %q, want that: %v", order[0].kind, order[1].kind, asked, c.asks)
				}
				ties := 0
				if c.asks {
					ties = 1
				}
				if w.library.Ties() != ties {
					t.Errorf("%d ties, want %d", w.library.Ties(), ties)
				}
			}
		})
	}
}

// expected is what must be known of X after these reports, whatever their
// order.
func expected(reports []report) string {
	ever, listed := map[string]bool{}, map[string]bool{}
	newest, status, deleted := int64(-1), "", false
	ranks := []string{"active", "idle", "preparing", "ready", "errored", "disabled"}
	for _, r := range reports {
		for id := range strings.FieldsSeq(r.ids) {
			ever[id] = true
		}
		switch {
		case strings.HasSuffix(r.kind, ".deleted"):
			deleted = true
			continue
		case r.second < newest:
			continue
		case r.second > newest:
			newest, status = r.second, ""
			clear(listed)
		}
		if slices.Index(ranks, r.status) > slices.Index(ranks, status) {
			status = r.status
		}
		for id := range strings.FieldsSeq(r.ids) {
			listed[id] = true
		}
	}
	if deleted {
		clear(listed)
	}
	if len(listed) == 0 {
		status = "none"
	}
	maps.DeleteFunc(ever, func(id string, _ bool) bool { return listed[id] })
	return fmt.Sprint(status, " ", slices.Sorted(maps.Keys(listed)), " gone ", slices.Sorted(maps.Keys(ever)))
}

func randomReports(random *rand.Rand) []report {
	prefix, states := "asset.", []string{"preparing", "ready", "errored"}
	if random.IntN(2) == 0 {
		prefix, states = "live_stream.", []string{"idle", "active", "disabled"}
	}
	reports := make([]report, 2+random.IntN(6))
	for i := range reports {
		r := report{kind: prefix + "updated", status: states[random.IntN(len(states))], second: random.Int64N(3)}
		for p := range 3 {
			if random.IntN(2) == 0 {
				r.ids += fmt.Sprintf("P%d ", p)
			}
		}
		if random.IntN(25) == 0 {
			r.kind, r.ids = prefix+"deleted", ""
		}
		reports[i] = r
	}
	return reports
}

// TestTiesInAnyOrder: random webhooks of few seconds, each delivered several
// times, in random orders, to two replicas, which end with what the webhooks say
// as a set; and so does a process that starts afterwards.
func TestTiesInAnyOrder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.db")
	dsn := ""
	shared := memory.New()
	for name, c := range map[string]struct {
		open   func() (store.Store, error)
		rounds int
	}{
		"memory":   {func() (store.Store, error) { return shared, nil }, 150},
		"sqlite":   {func() (store.Store, error) { return sqlite.Open(t.Context(), file) }, 25},
		"postgres": {func() (store.Store, error) { return postgres.Open(t.Context(), dsn) }, 25},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "postgres" {
				dsn = storetest.StartPostgres(t).DSN() + "?pool_max_conns=4"
			}
			open := func() store.Store {
				s, err := c.open()
				must(t, err)
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			random := rand.New(rand.NewPCG(15, 2))
			one, two := open(), open()
			for round := range c.rounds {
				reports := randomReports(random)
				of := playback.EnvironmentID(fmt.Sprintf("env-%d", round))
				replicas := [2]*world{worldOf(t, one, of), worldOf(t, two, of)}
				for _, i := range append(random.Perm(len(reports)), random.Perm(len(reports))...) {
					id := fmt.Sprintf("e%d-%d", i, random.IntN(2)) // the same event again, or one that says the same
					_, err := replicas[random.IntN(2)].inbox.Take(t.Context(), reports[i].body(id))
					must(t, err)
				}
				want := expected(reports)
				for _, w := range append(replicas[:], worldOf(t, open(), of)) {
					must(t, w.library.Follow(t.Context()))
					if got := w.seen(t, "P0", "P1", "P2"); got != want {
						t.Fatalf("round %d: %s, want %s after %+v", round, got, want, reports)
					}
				}
				if a, b := replicas[0].dumpX(t), worldOf(t, open(), of).dumpX(t); a != b {
					t.Fatalf("round %d: a replica has %s, one that starts %s", round, a, b)
				}
			}
		})
	}
}

// worldOf is a replica without Mux.
func worldOf(t *testing.T, records store.Store, of playback.EnvironmentID) *world {
	t.Helper()
	library, err := catalog.NewLibrary(t.Context(), records, []playback.EnvironmentID{of})
	must(t, err)
	live, err := library.Live(t.Context(), of)
	must(t, err)
	return &world{
		records: records, library: library, live: live,
		inbox: &catalog.Inbox{Environment: of, MuxEnvironment: "mux1", Library: library, Now: time.Now, Steady: time.Now},
	}
}

// dumpX is all that is known of X, the order of its playback IDs included.
func (w *world) dumpX(t *testing.T) string {
	t.Helper()
	v := w.view(t)
	var all []any
	for _, o := range append(v.ByAsset("X"), v.ByLiveStream("X")...) {
		all = append(all, o.ID, o.Policy, o.Asset, o.LiveStream)
	}
	text, err := json.Marshal(all)
	must(t, err)
	return string(text)
}

// TestATieIsAskedOfMux, out of turn: nothing of it is in use, and max_age is
// long.
func TestATieIsAskedOfMux(t *testing.T) {
	t.Parallel()
	tie := func(t *testing.T, w *world) {
		t.Helper()
		for i, r := range []report{{kind: "live_stream.disabled", status: "disabled", ids: "P1"}, {kind: "live_stream.enabled", status: "idle", ids: "P1"}} {
			_, err := w.inbox.Take(t.Context(), r.body(fmt.Sprint("e", i)))
			must(t, err)
		}
		if got := w.seen(t, "P1"); got != "disabled [P1] gone []" {
			t.Errorf("before Mux was asked: %s", got)
		}
	}
	prepare := func(t *testing.T) *world {
		t.Helper()
		w := newWorld(t, nil)
		must(t, w.SetLiveStream("mux1", muxsim.LiveStream{ID: "X", Status: "idle", PlaybackIDs: []muxsim.ObjectPlaybackID{{ID: "P1", Policy: muxsim.Signed}}}))
		_, err := w.records.ClaimSync(t.Context(), env, store.SyncClaim{Now: time.Now(), Until: time.Now().Add(time.Hour)}) // nobody reads everything
		must(t, err)
		return w
	}
	t.Run("by whoever takes the webhook", func(t *testing.T) {
		t.Parallel()
		w := prepare(t)
		w.work(t, w.sync(t))
		tie(t, w)
		eventually(t, "what Mux says counts", func() bool { return w.seen(t, "P1") == "idle [P1] gone []" && w.library.Ties() == 0 })
	})
	t.Run("by the next process", func(t *testing.T) {
		t.Parallel()
		w := prepare(t)
		tie(t, w)
		next := worldOf(t, w.records, env)
		next.server = w.server
		if got := next.seen(t, "P1"); got != "disabled [P1] gone []" || next.library.Ties() != 1 {
			t.Errorf("after a restart: %s, %d ties", got, next.library.Ties())
		}
		next.sync(t)
		eventually(t, "what Mux says counts", func() bool { return next.seen(t, "P1") == "idle [P1] gone []" && next.library.Ties() == 0 })
	})
}

// late is a Mux whose first answer is as old as the webhook.
type late struct {
	at    time.Time
	asked atomic.Int64
}

func (l *late) Object(context.Context, store.Kind, string) (catalog.Said, error) {
	said := catalog.Said{At: l.at, Data: json.RawMessage(`{"id":"X","status":"active","playback_ids":[{"id":"P1","policy":"signed"}]}`)}
	if l.asked.Add(1) > 1 {
		said.At, said.Data = l.at.Add(2*time.Second), json.RawMessage(`{"id":"X","status":"idle","playback_ids":[{"id":"P1","policy":"signed"}]}`)
	}
	return said, nil
}

func (*late) Owner(context.Context, playback.ID) (store.Kind, string, error) {
	return "", "", catalog.ErrGone
}

func (*late) Page(context.Context, store.Kind, string) (catalog.Page, error) {
	return catalog.Page{}, nil
}

// TestAnAnswerAsOldAsTheWebhookIsNotTheLast: Mux's answer has whole seconds, so
// in the second of the webhook it may be of before. The stricter state counts,
// and Mux is asked until its answer is newer.
func TestAnAnswerAsOldAsTheWebhookIsNotTheLast(t *testing.T) {
	t.Parallel()
	disabled := report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}
	for name, first := range map[string][]byte{
		"what Mux is asked about is tied": disabled.body("e1"),
		"a webhook says too little":       event("e1", "video.live_stream.warning", "X", time.Unix(1_700_000_000, 5e8), nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			mux := &late{at: time.Unix(1_700_000_000, 9e8)}
			w.work(t, w.sync(t, func(c *catalog.SyncConfig) { c.Mux = mux }))
			_, err := w.inbox.Take(t.Context(), first)
			must(t, err)
			if strings.HasPrefix(name, "what") {
				_, err := w.inbox.Take(t.Context(), report{kind: "live_stream.active", status: "active", ids: "P1"}.body("e2"))
				must(t, err)
			}
			eventually(t, "what Mux says counts", func() bool { return w.seen(t, "P1") == "idle [P1] gone []" })
			if n := mux.asked.Load(); n != 2 {
				t.Errorf("Mux was asked %d times, want 2", n)
			}
		})
	}
}

// TestAnAnswerInTheSecondOfAWebhook was given before the webhook's cause, or
// after it: nobody knows.
func TestAnAnswerInTheSecondOfAWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	mux := &late{at: time.Unix(1_700_000_000, 9e8)}
	s := w.sync(t, func(c *catalog.SyncConfig) { c.Mux = mux })
	must(t, s.Do(t.Context(), &store.Job{Key: "live_stream X"}))
	if diff := cmp.Diff("active [P1] gone []", w.seen(t)); diff != "" {
		t.Error(diff)
	}
	_, err := w.inbox.Take(t.Context(), report{kind: "live_stream.disabled", status: "disabled", ids: "P1"}.body("e1"))
	must(t, err)
	if diff := cmp.Diff("disabled [P1] gone []", w.seen(t)); diff != "" {
		t.Error(diff)
	}
}
