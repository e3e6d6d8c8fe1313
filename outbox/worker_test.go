package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/outbox"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
)

// office is a store and a worker, in a bubble of synctest.
type office struct {
	*testing.T

	store  *memory.Store
	worker *outbox.Worker
	log    bytes.Buffer
	begun  time.Time
	stop   func() // ends the worker and waits for it

	mu   sync.Mutex
	done []string // "environment key attempts after", in order
	do   outbox.Handler
	ours func(playback.EnvironmentID) bool
}

// newOffice starts a worker whose jobs are done by do; nil succeeds.
func newOffice(t *testing.T, do outbox.Handler) *office {
	t.Helper()
	o := &office{T: t, store: memory.New(), begun: time.Now(), do: do}
	o.worker = outbox.New(outbox.Config{Store: o.store, Logger: slog.New(slog.NewTextHandler(&o.log, nil)), Now: time.Now, Handlers: func(env playback.EnvironmentID) map[string]outbox.Handler {
		if o.ours != nil && !o.ours(env) {
			return nil
		}
		return map[string]outbox.Handler{"test": o.handle}
	}})
	return o
}

func (o *office) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { o.worker.Run(ctx); close(ended) }()
	o.stop = sync.OnceFunc(func() { cancel(); <-ended })
	o.Cleanup(o.stop)
}

func (o *office) handle(ctx context.Context, job *store.Job) error {
	o.mu.Lock()
	o.done = append(o.done, fmt.Sprintf("%s %s %d %s", job.Environment, job.Key, job.Attempts, time.Since(o.begun)))
	o.mu.Unlock()
	if o.do == nil {
		return nil
	}
	return o.do(ctx, job)
}

func (o *office) add(env playback.EnvironmentID, keys ...string) {
	o.Helper()
	batch := store.JobBatch{Max: 1000, Now: time.Now()}
	for _, key := range keys {
		batch.Jobs = append(batch.Jobs, store.Job{Environment: env, Kind: "test", Key: key})
	}
	if err := o.store.AddJobs(o.Context(), batch); err != nil {
		o.Fatal(err)
	}
}

// want compares what was done, in order.
func (o *office) want(done ...string) {
	o.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if diff := cmp.Diff(done, o.done); diff != "" {
		o.Errorf("(-want +got)\n%s", diff)
	}
}

// left returns the environments that have jobs, due or not.
func (o *office) left() []playback.EnvironmentID {
	o.Helper()
	all, err := o.store.DueJobs(o.Context(), time.Now().Add(24*time.Hour))
	if err != nil {
		o.Fatal(err)
	}
	return all
}

func TestJobsAreDoneOnceAndAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		o.add("acme", "before") // by an earlier process
		o.start()
		o.want("acme before 1 0s")
		time.Sleep(300 * time.Millisecond)
		o.add("acme", "announced")
		o.worker.Wake()
		o.want("acme before 1 0s", "acme announced 1 300ms")
		o.add("acme", "by another process")
		time.Sleep(time.Second)
		o.want("acme before 1 0s", "acme announced 1 300ms", "acme by another process 1 1s")
		if left := o.left(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestAJobThatFailsIsTriedAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := 0
		o := newOffice(t, func(context.Context, *store.Job) error {
			if failed++; failed < 7 {
				return errors.New("Mux is away")
			}
			return nil
		})
		o.add("acme", "k")
		o.start()
		time.Sleep(time.Minute + 4*time.Second)
		o.want("acme k 1 0s", "acme k 2 1s", "acme k 3 3s", "acme k 4 7s", "acme k 5 15s", "acme k 6 31s", "acme k 7 1m3s")
		if left := o.left(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		o.stop()
		if log := o.log.String(); strings.Count(log, "Mux is away") != 1 {
			t.Errorf("the log names the job %d times, want once:\n%s", strings.Count(log, "Mux is away"), log)
		}
	})
	if longest := outbox.Delay(1000); longest != 5*time.Minute {
		t.Errorf("a job waits %s at most, want 5m", longest)
	}
}

// TestAJobThatPanicsEndsNothing: it is tried again as one that fails, and the jobs
// behind it are done.
func TestAJobThatPanicsEndsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := false
		o := newOffice(t, func(_ context.Context, job *store.Job) error {
			if job.Key == "a" && !failed {
				failed = true
				panic("no such thing")
			}
			return nil
		})
		o.add("acme", "a")
		time.Sleep(time.Millisecond) // a is due first
		o.add("acme", "b")
		o.start()
		time.Sleep(2 * time.Second)
		o.want("acme a 1 1ms", "acme b 1 1ms", "acme a 2 1.001s")
		o.stop()
		if log := o.log.String(); strings.Count(log, "no such thing") != 1 || !strings.Contains(log, "worker_test.go") {
			t.Errorf("the log does not say once what panicked, and where:\n%s", log)
		}
	})
}

func TestAJobOfAProcessThatEndedIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		o.add("acme", "k")
		claim := store.JobClaim{Environment: "acme", Kinds: []string{"test"}, Owner: "killed", Lease: 30 * time.Second, Now: time.Now()}
		if _, found, err := o.store.ClaimJob(t.Context(), claim); !found || err != nil {
			t.Fatal(found, err)
		}
		o.start()
		time.Sleep(29 * time.Second)
		o.want()
		time.Sleep(2 * time.Second)
		o.want("acme k 2 30s")
	})
}

// TestAnEnvironmentWhoseJobsHangHoldsUpNoOther, however many jobs it has.
func TestAnEnvironmentWhoseJobsHangHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(ctx context.Context, job *store.Job) error {
			if strings.HasPrefix(string(job.Environment), "slow") {
				<-ctx.Done() // for as long as it may
				return ctx.Err()
			}
			return nil
		})
		for n := range 15 { // all turns but one
			o.add(playback.EnvironmentID(fmt.Sprintf("slow%02d", n)), "a", "b", "c")
		}
		o.start()
		synctest.Wait()
		o.add("quick", "k")
		o.worker.Wake()
		synctest.Wait()
		o.mu.Lock()
		defer o.mu.Unlock()
		if !slices.Contains(o.done, "quick k 1 0s") {
			t.Errorf("done: %v", o.done)
		}
	})
}

// TestEnvironmentsTakeTurns: where there are more than can be served at once, who
// has waited longest comes first, so none waits for the end of another's jobs.
func TestEnvironmentsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(context.Context, *store.Job) error { time.Sleep(time.Second); return nil })
		keys := make([]string, 100)
		for n := range keys {
			keys[n] = fmt.Sprintf("k%02d", n)
		}
		for n := range 33 {
			o.add(playback.EnvironmentID(fmt.Sprintf("e%02d", n)), keys...)
		}
		o.start()
		time.Sleep(16 * time.Second) // two turns of five seconds, and the third begins
		synctest.Wait()
		o.mu.Lock()
		defer o.mu.Unlock()
		served := map[string]int{}
		for _, line := range o.done {
			served[strings.Fields(line)[0]]++
		}
		if len(served) != 33 {
			t.Errorf("%d of 33 environments had a turn: %v", len(served), served)
		}
	})
}

func TestWhatIsNotFinishedAtTheEndIsDueAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(ctx context.Context, _ *store.Job) error { <-ctx.Done(); return ctx.Err() })
		o.add("acme", "a", "b")
		o.start()
		synctest.Wait()
		o.stop()
		for range 2 {
			claim := store.JobClaim{Environment: "acme", Kinds: []string{"test"}, Owner: "next", Lease: time.Minute, Now: time.Now()}
			if _, found, err := o.store.ClaimJob(t.Context(), claim); !found || err != nil {
				t.Errorf("the next process finds nothing to do: %v", err)
			}
		}
	})
}

func TestJobsThatNobodyHereCanDoAreLeftToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		o.ours = func(env playback.EnvironmentID) bool { return env == "ours" }
		o.add("theirs", "k")
		o.add("ours", "k")
		o.start()
		time.Sleep(time.Minute)
		o.want("ours k 1 0s")
		if diff := cmp.Diff([]playback.EnvironmentID{"theirs"}, o.left()); diff != "" {
			t.Error(diff)
		}
	})
}

// away is an outbox whose store is down for a while.
type away struct {
	*memory.Store

	down atomic.Bool
}

func (a *away) DueJobs(ctx context.Context, now time.Time) ([]playback.EnvironmentID, error) {
	if a.down.Load() {
		return nil, errors.New("the store is away")
	}
	return a.Store.DueJobs(ctx, now)
}

func TestAStoreThatIsDownIsSaidOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		s := &away{Store: o.store}
		s.down.Store(true)
		o.worker = outbox.New(outbox.Config{Store: s, Logger: slog.New(slog.NewTextHandler(&o.log, nil)), Now: time.Now, Handlers: func(playback.EnvironmentID) map[string]outbox.Handler {
			return map[string]outbox.Handler{"test": o.handle}
		}})
		o.add("acme", "k")
		o.start()
		time.Sleep(10*time.Second + 500*time.Millisecond)
		s.down.Store(false)
		time.Sleep(time.Second)
		o.want("acme k 1 11s")
		o.stop()
		if log := o.log.String(); strings.Count(log, "the store is away") != 1 || !strings.Contains(log, "can be read again") {
			t.Errorf("log:\n%s", log)
		}
	})
}
