package outbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	// lookEvery is how often the store is asked for jobs that nobody has announced:
	// those of other processes, and those that have waited for their next attempt.
	lookEvery = time.Second
	// jobTime bounds one attempt at a job. Its claim lasts longer, so no two
	// processes are at it. Where the store has no clock of its own (SQLite, whose
	// file only processes of one machine share) two may be, if their clocks differ
	// by the rest: the job is done twice, and kept until one of them has done it.
	jobTime = 20 * time.Second
	lease   = 30 * time.Second
	// turnTime is how long one environment's jobs are done while others wait.
	turnTime = 5 * time.Second
	// maxTurns is how many environments' jobs are done at once.
	maxTurns = 16
	// firstDelay doubles with each failed attempt, up to longestDelay.
	firstDelay   = time.Second
	longestDelay = 5 * time.Minute
	// settleTime bounds what is still written when the worker has been told to end.
	settleTime = 2 * time.Second
	// countEvery is how often the jobs that wait are counted.
	countEvery = 15 * time.Second
)

// Handler does a job. An error means that it is tried again later. It must end
// soon after ctx does.
type Handler func(ctx context.Context, job *store.Job) error

// Config is what a Worker is made of.
type Config struct {
	Store store.Outbox
	// Handlers returns what does an environment's jobs, by their kind; none: the
	// jobs are left to others, or until there is one.
	Handlers   func(playback.EnvironmentID) map[string]Handler
	Logger     *slog.Logger
	Now        func() time.Time      // a clock that nobody sets
	Registerer prometheus.Registerer // nil: counts nothing that is published
}

// Worker does jobs. Make it with New.
type Worker struct {
	cfg   Config
	owner string
	wake  chan struct{}
	jobs  *prometheus.CounterVec // kind, result
	count *prometheus.GaugeVec   // kind
	age   *prometheus.GaugeVec   // kind

	mu     sync.Mutex
	turns  map[playback.EnvironmentID]*turn
	active int
	work   sync.WaitGroup
}

// turn is what is known of an environment whose jobs were done.
type turn struct {
	running bool
	ended   time.Time
}

// New returns a Worker. It asks nothing before Run.
func New(cfg Config) *Worker {
	w := &Worker{
		cfg: cfg, owner: rand.Text(), wake: make(chan struct{}, 1), turns: map[playback.EnvironmentID]*turn{},
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_outbox_attempts_total",
			Help: "Attempts at work that was acknowledged and had to be done afterwards, by kind and result: done or retry (it failed and is tried again).",
		}, []string{"kind", "result"}),
		count: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "playgate_outbox_jobs",
			Help: "Work in the store that was acknowledged and is not done yet, by kind, counted every 15 s. Replicas that share a store count the same.",
		}, []string{"kind"}),
		age: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "playgate_outbox_oldest_seconds",
			Help: "For how long the oldest work in the store has waited that was acknowledged and is not done yet, by kind, looked at every 15 s; 0: there is none.",
		}, []string{"kind"}),
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(w.jobs, w.count, w.age)
	}
	return w
}

// Wake tells the worker that a job was added, so that it does not wait until it
// looks again.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run does jobs until the context ends, and gives back those that it has not
// finished then.
func (w *Worker) Run(ctx context.Context) {
	defer w.work.Wait()
	w.work.Go(func() { w.countJobs(ctx) })
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	failing := false
	for {
		err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			w.cfg.Logger.Error("the outbox cannot be read: work that was acknowledged waits", "error", err)
		case err == nil && failing:
			w.cfg.Logger.Info("the outbox can be read again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.wake:
		}
	}
}

// countJobs keeps the gauges until the context ends. While the store cannot be
// asked they stay: that it is down is said by look.
func (w *Worker) countJobs(ctx context.Context) {
	ticker := time.NewTicker(countEvery)
	defer ticker.Stop()
	known := map[string]bool{}
	for {
		waiting, err := w.cfg.Store.WaitingJobs(ctx, w.cfg.Now())
		if err == nil {
			now := map[string]store.Waiting{}
			for _, of := range waiting {
				now[of.Kind], known[of.Kind] = of, true
			}
			for kind := range known { // those of which there are none any more, too
				w.count.WithLabelValues(kind).Set(float64(now[kind].Jobs))
				w.age.WithLabelValues(kind).Set(now[kind].Oldest.Seconds())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look gives a turn to environments whose jobs are due, first to those that have
// waited for the longest.
func (w *Worker) look(ctx context.Context) error {
	due, err := w.cfg.Store.DueJobs(ctx, w.cfg.Now())
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for env, t := range w.turns {
		if !t.running && !slices.Contains(due, env) {
			delete(w.turns, env)
		}
	}
	last := func(env playback.EnvironmentID) int64 {
		if t := w.turns[env]; t != nil {
			return t.ended.UnixNano()
		}
		return 0
	}
	slices.SortFunc(due, func(a, b playback.EnvironmentID) int { return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(a, b)) })
	for _, env := range due {
		if w.active >= maxTurns {
			break
		}
		w.begin(ctx, env)
	}
	return nil
}

// begin gives an environment its turn, unless it has it. w.mu is held.
func (w *Worker) begin(ctx context.Context, env playback.EnvironmentID) {
	handlers := w.cfg.Handlers(env)
	t := w.turns[env]
	if len(handlers) == 0 || t != nil && t.running {
		return
	}
	if t == nil {
		t = &turn{}
		w.turns[env] = t
	}
	t.running = true
	w.active++
	w.work.Go(func() {
		more := w.take(ctx, env, handlers)
		w.mu.Lock()
		t.running, t.ended = false, w.cfg.Now()
		w.active--
		w.mu.Unlock()
		if more {
			w.Wake()
		}
	})
}

// take does an environment's jobs that are due, until its turn is over; then it
// says whether there may be more.
func (w *Worker) take(ctx context.Context, env playback.EnvironmentID, handlers map[string]Handler) (more bool) {
	kinds := make([]string, 0, len(handlers))
	for kind := range handlers {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for end := w.cfg.Now().Add(turnTime); w.cfg.Now().Before(end); {
		if ctx.Err() != nil {
			return false
		}
		job, found, err := w.cfg.Store.ClaimJob(ctx, store.JobClaim{Environment: env, Kinds: kinds, Owner: w.owner, Lease: lease, Now: w.cfg.Now()})
		if err != nil || !found {
			return false // a store that is down is noticed by look
		}
		w.attempt(ctx, &job, handlers[job.Kind])
	}
	return true
}

// attempt does a job, and says so to the store.
func (w *Worker) attempt(ctx context.Context, job *store.Job, do Handler) {
	limited, cancel := context.WithTimeout(ctx, jobTime)
	err := w.recovered(limited, job, do)
	cancel()
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	switch {
	case err == nil:
		w.jobs.WithLabelValues(job.Kind, "done").Inc()
		err = w.cfg.Store.FinishJob(settling, w.owner, job, w.cfg.Now())
	case ctx.Err() != nil: // not the job's fault: whoever comes next does it at once
		err = w.cfg.Store.RetryJob(settling, w.owner, job, store.Due{Now: w.cfg.Now()})
	default:
		w.jobs.WithLabelValues(job.Kind, "retry").Inc()
		if job.Attempts == worthAWarning {
			w.cfg.Logger.WarnContext(ctx, "work that was acknowledged fails again and again, and is tried on",
				"environment", job.Environment, "kind", job.Kind, "key", job.Key, "attempts", job.Attempts, "error", err)
		}
		err = w.cfg.Store.RetryJob(settling, w.owner, job, store.Due{After: Delay(job.Attempts), Now: w.cfg.Now()})
	}
	if err != nil {
		// The claim ends by itself, and then the job is done again.
		w.cfg.Logger.WarnContext(ctx, "the outbox was not told what became of a job", "environment", job.Environment, "kind", job.Kind, "key", job.Key, "error", err)
	}
}

// recovered does a job, and makes a panic an error: a job whose handler panics
// would end each process that takes it up, and the next one after a restart.
func (w *Worker) recovered(ctx context.Context, job *store.Job, do Handler) (err error) {
	defer func() {
		if value := recover(); value != nil {
			w.cfg.Logger.ErrorContext(ctx, "work that was acknowledged panicked, and is tried again", "environment", job.Environment,
				"kind", job.Kind, "key", job.Key, "attempts", job.Attempts, "error", value, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", value)
		}
	}()
	return do(ctx, job)
}

// worthAWarning is the attempt after whose failure the log names the job, once.
const worthAWarning = 5

// Delay is how long a job waits after a failed attempt; the first is 1.
func Delay(attempt int) time.Duration {
	delay := firstDelay
	for n := 1; n < attempt && delay < longestDelay; n++ {
		delay *= 2
	}
	return min(delay, longestDelay)
}
