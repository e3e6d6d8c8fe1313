package outbox_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/outbox"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
)

// TestReplicasWhoseClocksDifferLoseNothing, in a store that goes by theirs, as
// SQLite's: what one has claimed or put off may be done by the other at once, or an
// hour later. All is done, and nothing is kept.
func TestReplicasWhoseClocksDifferLoseNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const apart = time.Hour
		records := memory.New()
		var mu sync.Mutex
		done := map[string]int{}
		failed := map[string]bool{}
		run := func(ctx context.Context, ahead time.Duration) {
			do := func(_ context.Context, job *store.Job) error {
				time.Sleep(10 * time.Second)
				mu.Lock()
				defer mu.Unlock()
				if first := !failed[job.Key]; first && strings.HasPrefix(job.Key, "fails") {
					failed[job.Key] = true
					return context.DeadlineExceeded
				}
				done[job.Key]++
				return nil
			}
			w := outbox.New(outbox.Config{
				Store: records, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(ahead) },
				Handlers: func(playback.EnvironmentID) map[string]outbox.Handler { return map[string]outbox.Handler{"test": do} },
			})
			go w.Run(ctx)
		}
		ctx, end := context.WithCancel(t.Context())
		run(ctx, 0)
		run(ctx, apart)
		keys := []string{"a", "b", "fails-c", "d", "fails-e"}
		for n, key := range keys {
			ahead := time.Duration(n%2) * apart // who takes the webhook
			job := store.Job{Environment: "acme", Kind: "test", Key: key}
			if err := records.AddJobs(t.Context(), store.JobBatch{Jobs: []store.Job{job}, Max: 100, Now: time.Now().Add(ahead)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(apart + 5*time.Minute)
		end()
		synctest.Wait()
		for _, key := range keys {
			if done[key] == 0 || done[key] > 2 {
				t.Errorf("%s was done %d times, want once, or once by each", key, done[key])
			}
		}
		if left, err := records.WaitingJobs(t.Context(), time.Now()); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// TestJobsThatWaitAreMeasured: how many there are, and for how long the oldest has
// waited.
func TestJobsThatWaitAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		registry := prometheus.NewRegistry()
		var free atomic.Bool
		o.worker = outbox.New(outbox.Config{
			Store: o.store, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Registerer: registry,
			Handlers: func(env playback.EnvironmentID) map[string]outbox.Handler {
				if env == "stuck" && !free.Load() {
					return nil
				}
				return map[string]outbox.Handler{"test": o.handle}
			},
		})
		o.add("stuck", "a", "b")
		want := func(jobs, oldest float64) {
			t.Helper()
			synctest.Wait()
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
			if n, age := got["playgate_outbox_jobs test"], got["playgate_outbox_oldest_seconds test"]; n != jobs || age != oldest {
				t.Errorf("%v jobs, the oldest %v s, want %v and %v", n, age, jobs, oldest)
			}
		}
		time.Sleep(time.Minute)
		o.start()
		want(2, 60)
		o.add("acme", "c")
		time.Sleep(16 * time.Second)
		want(2, 75)
		free.Store(true)
		time.Sleep(15 * time.Second)
		want(0, 0)
	})
}
