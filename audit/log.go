package audit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Sampling says how many decisions to allow are kept: 0 none, 1 all, N one in N.
type Sampling uint32

// RuleSampling is the sampling of one rule's decisions to allow.
type RuleSampling struct {
	Environment playback.EnvironmentID // "" every one
	Rule        string
	Sampling    Sampling
}

// Sink takes finished records. Write gets as many as are ready, at least one, and
// returns when they are kept or lost; one goroutine calls it, and its context
// ends when there is no time left. Close is called after the last Write.
type Sink interface {
	Write(ctx context.Context, entries []Entry) error
	Close(ctx context.Context) error
}

// Entry is a record with its line, which ends with a newline.
type Entry struct {
	Record *Record
	Line   []byte
}

// Config is what a Log needs.
type Config struct {
	Sink         Sink
	Allow        Sampling // decisions to deny are always kept
	Rules        []RuleSampling
	KeepInputs   bool            // else only their digest
	PseudonymKey playback.Secret // required: all replicas share it
	Queue        int             // records that may wait, > 0
	// Gather is how long a record waits for others before the sink gets them
	// together: for one to which each time is dear. 0: not at all.
	Gather     time.Duration
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are counted, not published
	Rand       func(n uint32) uint32 // in [0, n); nil: math/rand/v2
}

// Log keeps decisions.
type Log struct {
	cfg     Config
	clerk   clerk               // of the goroutine that writes
	rules   map[string]Sampling // by environment and rule
	queue   chan *Record
	results *prometheus.CounterVec

	mu      sync.RWMutex // guards stopped, and the queue against being closed
	stopped bool
	done    chan struct{}
	ctx     context.Context //nolint:containedctx // of run: it ends when Stop has no time left
	cancel  context.CancelFunc
}

const (
	maxBatch   = 256
	complainIn = time.Minute // how often a sink that fails is logged
)

// New returns a Log and begins to write.
func New(cfg Config) *Log {
	if cfg.Rand == nil {
		cfg.Rand = rand.Uint32N
	}
	l := &Log{
		cfg: cfg, clerk: clerk{names: newPseudonyms(cfg.PseudonymKey), keepInputs: cfg.KeepInputs}, rules: map[string]Sampling{},
		queue: make(chan *Record, cfg.Queue), done: make(chan struct{}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_decision_log_records_total",
			Help: "Records of the decision log, by result: written, dropped (the queue was full) or failed (the output did not take them).",
		}, []string{"result"}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for _, r := range cfg.Rules {
		l.rules[string(r.Environment)+"\x00"+r.Rule] = r.Sampling
	}
	for _, result := range []string{"written", "dropped", "failed"} {
		l.results.WithLabelValues(result)
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(l.results)
	}
	go l.run()
	return l
}

// Wants reports whether a decision is to be kept: nobody need write down what is
// not.
func (l *Log) Wants(env playback.EnvironmentID, rule string, allowed bool) bool {
	if !allowed {
		return true
	}
	n := l.sampling(env, rule)
	return n == 1 || n > 1 && l.cfg.Rand(uint32(n)) == 0
}

// sampling is that of a rule's decisions to allow.
func (l *Log) sampling(env playback.EnvironmentID, rule string) Sampling {
	if len(l.rules) > 0 {
		if own, ok := l.rules[string(env)+"\x00"+rule]; ok {
			return own
		} else if own, ok := l.rules["\x00"+rule]; ok {
			return own
		}
	}
	return l.cfg.Allow
}

// Keep keeps a decision. It does not wait: if the queue is full, the record is
// dropped and counted. The question is not kept.
func (l *Log) Keep(d *playback.Decided) {
	r := note(d)
	if n := l.sampling(d.Environment, d.Rule); n > 1 && r.Decision == Allow {
		r.Weight = uint32(n)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.stopped {
		l.results.WithLabelValues("dropped").Inc()
		return
	}
	select {
	case l.queue <- r:
	default:
		l.results.WithLabelValues("dropped").Inc()
	}
}

// Stop writes what is waiting, for as long as the context lasts, and closes the
// sink. What comes later is dropped.
func (l *Log) Stop(ctx context.Context) error {
	l.mu.Lock()
	if !l.stopped {
		l.stopped = true
		close(l.queue)
	}
	l.mu.Unlock()
	defer l.cancel()
	select {
	case <-l.done:
		return l.cfg.Sink.Close(ctx)
	case <-ctx.Done():
		return fmt.Errorf("writing the decisions that are waiting: %w", ctx.Err())
	}
}

// run writes until the queue is closed and empty.
func (l *Log) run() {
	defer close(l.done)
	var complained time.Time
	for r := range l.queue {
		entries := l.gather(l.finish(nil, r))
		if len(entries) == 0 {
			continue
		}
		err := l.cfg.Sink.Write(l.ctx, entries)
		if err == nil {
			l.results.WithLabelValues("written").Add(float64(len(entries)))
			continue
		}
		l.results.WithLabelValues("failed").Add(float64(len(entries)))
		if at := entries[0].Record.Time; at.Sub(complained) >= complainIn { // the records' own clock will do
			complained = at
			l.cfg.Logger.Error("the decision log cannot be written", "error", err)
		}
	}
}

// gather adds what is ready, or becomes so in time.
func (l *Log) gather(entries []Entry) []Entry {
	var enough <-chan time.Time
	if l.cfg.Gather > 0 {
		timer := time.NewTimer(l.cfg.Gather)
		defer timer.Stop()
		enough = timer.C
	}
	for len(entries) < maxBatch {
		r := l.next(enough)
		if r == nil {
			break
		}
		entries = l.finish(entries, r)
	}
	return entries
}

// next returns the next record, nil if there is none until enough (nil: now) or
// the queue is closed.
func (l *Log) next(enough <-chan time.Time) *Record {
	select {
	case r := <-l.queue:
		return r
	default:
	}
	if enough == nil {
		return nil
	}
	select {
	case r := <-l.queue:
		return r
	case <-enough:
		return nil
	}
}

func (l *Log) finish(entries []Entry, r *Record) []Entry {
	line, err := l.clerk.finish(r)
	if err == nil {
		return append(entries, Entry{r, line})
	}
	l.results.WithLabelValues("failed").Inc()
	l.cfg.Logger.Error("a decision cannot be written down", "error", err, "request_id", r.RequestID)
	return entries
}
