package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/outbox"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
)

const env = playback.EnvironmentID("acme")

// world is a simulated Mux, a store and a catalogue that follows both.
type world struct {
	*muxsim.Sim

	records store.Store
	library *catalog.Library
	live    *catalog.Live
	inbox   *catalog.Inbox
	asked   atomic.Int64 // requests to Mux
	broken  atomic.Int64 // the status that Mux answers with; 0: it works
	server  *httptest.Server
}

func newWorld(t *testing.T, records store.Store) *world {
	t.Helper()
	sim, err := muxsim.New(muxsim.Config{Now: time.Now, Environments: []muxsim.Environment{
		{ID: "mux1", AccessTokens: []muxsim.AccessToken{{ID: "token", Secret: "secret", Permissions: []string{"video:read"}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if records == nil {
		records = memory.New()
	}
	w := &world{Sim: sim, records: records}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		if status := w.broken.Load(); status != 0 {
			rw.WriteHeader(int(status))
			return
		}
		sim.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.server.Close)
	w.library, err = catalog.NewLibrary(t.Context(), records, []playback.EnvironmentID{env})
	if err != nil {
		t.Fatal(err)
	}
	if w.live, err = w.library.Live(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	w.inbox = &catalog.Inbox{Environment: env, MuxEnvironment: "mux1", Library: w.library, Now: time.Now, Steady: time.Now}
	return w
}

func (w *world) view(t *testing.T, entries ...catalog.Entry) *catalog.View {
	t.Helper()
	return w.live.View(mustCatalog(t, entries...))
}

// hear makes the catalogue take a webhook about an object as it is now.
func (w *world) hear(t *testing.T, kind, id string) catalog.EventOutcome {
	t.Helper()
	body, err := w.Webhook("mux1", kind, id)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := w.inbox.Take(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// sync starts a Syncer, which ends with the test.
func (w *world) sync(t *testing.T, change ...func(*catalog.SyncConfig)) *catalog.Syncer {
	t.Helper()
	client, err := muxapi.New(muxapi.Config{
		BaseURL: w.server.URL, TokenID: "token", Secret: playback.NewSecret("secret"), Now: time.Now, Rand: func() float64 { return 0 },
		Turn: func(context.Context, string, time.Duration) (time.Duration, error) { return 0, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := catalog.SyncConfig{
		Environment: env, Library: w.library, Live: w.live, Mux: api{client}, MaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	for _, c := range change {
		c(&cfg)
	}
	s := catalog.NewSyncer(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

// work does the jobs that webhooks leave, until the test ends.
func (w *world) work(t *testing.T, s *catalog.Syncer) {
	t.Helper()
	worker := outbox.New(outbox.Config{Store: w.records, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Handlers: func(playback.EnvironmentID) map[string]outbox.Handler {
		return map[string]outbox.Handler{catalog.CheckJob: s.Do}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { worker.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	w.inbox.Outbox, w.inbox.Wake = w.records, worker.Wake
}

// jobs claims what Mux is to be asked about, by spaces and commas.
func (w *world) jobs(t *testing.T) string {
	t.Helper()
	var all []string
	for {
		job, found, err := w.records.ClaimJob(t.Context(), store.JobClaim{Environment: env, Kinds: []string{catalog.CheckJob}, Owner: "test", Lease: time.Hour, Now: time.Now()})
		must(t, err)
		if !found {
			return strings.Join(all, ",")
		}
		all = append(all, job.Key)
	}
}

// api is muxapi in the words of the catalogue.
type api struct{ *muxapi.Client }

func gone(err error) error {
	if errors.Is(err, muxapi.ErrNotFound) {
		return fmt.Errorf("%w: %w", catalog.ErrGone, err)
	}
	return err
}

func (a api) Object(ctx context.Context, kind store.Kind, id string) (catalog.Said, error) {
	if kind == store.LiveStream {
		o, err := a.GetLiveStream(ctx, playback.LiveStreamID(id))
		return catalog.Said(o), gone(err)
	}
	o, err := a.GetAsset(ctx, playback.AssetID(id))
	return catalog.Said(o), gone(err)
}

func (a api) Owner(ctx context.Context, id playback.ID) (store.Kind, string, error) {
	p, err := a.GetPlaybackID(ctx, id)
	return store.Kind(p.Object.Type), p.Object.ID, gone(err)
}

func (a api) Page(ctx context.Context, kind store.Kind, cursor string) (catalog.Page, error) {
	list := a.ListAssets
	if kind == store.LiveStream {
		list = a.ListLiveStreams
	}
	page, err := list(ctx, cursor)
	return catalog.Page{Objects: page.Data, At: page.At, Next: page.Next}, err
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if holds() {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("it never was: %s", what)
}

func film(id muxsim.AssetID, ids ...muxsim.ID) muxsim.Asset {
	a := muxsim.Asset{ID: id, Duration: 60, CreatedAt: time.Unix(1_700_000_000, 0), Meta: map[string]any{"title": "T"}}
	for _, p := range ids {
		a.PlaybackIDs = append(a.PlaybackIDs, muxsim.ObjectPlaybackID{ID: p, Policy: muxsim.Signed})
	}
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// event writes a webhook of one's own making.
func event(id, kind, object string, at time.Time, data map[string]any) []byte {
	objectType := "asset"
	if strings.HasPrefix(kind, "video.live_stream.") {
		objectType = "live"
	}
	body, err := json.Marshal(map[string]any{
		"type": kind, "id": id, "created_at": at.UTC().Format(time.RFC3339Nano), "object": map[string]any{"type": objectType, "id": object},
		"environment": map[string]any{"id": "mux1"}, "data": data,
	})
	if err != nil {
		panic(err)
	}
	return body
}
