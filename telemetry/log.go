package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

const (
	defaultBytes = 4 << 20
	defaultLines = 1 << 14

	// stuckAfter is how long one write may take before the log counts as stuck.
	stuckAfter = 5 * time.Second
	// reportEvery is how often the log says how many lines were dropped.
	reportEvery = time.Second
)

// Config is what a Log needs.
type Config struct {
	Writer io.Writer // only the Log's goroutine writes to it
	Format string    // json or text
	Level  slog.Leveler
	// MaxBytes and MaxLines bound what waits to be written; 0: 4 MiB, 16384 lines.
	MaxBytes, MaxLines int
	Now                func() time.Time
	Registerer         prometheus.Registerer // nil: metrics are counted, not published
}

// Log is the process's log. Open makes one.
type Log struct {
	cfg   Config
	queue *queue
	lanes [severities]slog.Handler // one for each severity
	self  slog.Handler             // for reports

	began   time.Time
	writing atomic.Int64          // since when a write is under way, in nanoseconds after began; 0: none is
	failing atomic.Pointer[error] // why the last write failed; nil: it did not

	// Of the goroutine that writes.
	reported time.Time
	torn     bool // the last write ended within a line

	once    sync.Once
	closing chan struct{}
	done    chan struct{}
}

// Open returns a Log and begins to write. Close ends it.
func Open(cfg Config) *Log {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultBytes
	}
	if cfg.MaxLines == 0 {
		cfg.MaxLines = defaultLines
	}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_log_dropped_total",
		Help: "Lines of the log that were dropped, by level: debug, info, warn or error. The queue was full, or the line could not be written.",
	}, []string{"level"})
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(dropped)
	}
	l := &Log{
		cfg: cfg, began: cfg.Now(), closing: make(chan struct{}), done: make(chan struct{}),
		queue: &queue{maxBytes: cfg.MaxBytes, maxLines: cfg.MaxLines, ready: make(chan struct{}, 1)},
	}
	for s := range severities {
		l.queue.dropped[s] = dropped.WithLabelValues(s.name())
		l.lanes[s] = newFormatter(cfg.Format, lane{l.queue, s})
	}
	l.self = newFormatter(cfg.Format, reports{l.queue})
	go l.run()
	return l
}

// Logger returns the logger of what is at least as severe as Config.Level.
func (l *Log) Logger() *slog.Logger {
	return slog.New(&handler{level: l.cfg.Level, lanes: l.lanes})
}

// Records returns the logger of records for auditors. They are logged whatever
// Config.Level says, and dropped as late as errors.
func (l *Log) Records() *slog.Logger {
	h := &handler{level: slog.Level(-128)}
	for s := range severities {
		h.lanes[s] = l.lanes[failure]
	}
	return slog.New(h)
}

// Trouble says why lines do not get out, "" if they do.
func (l *Log) Trouble() string {
	if since := l.writing.Load(); since != 0 {
		if waited := l.cfg.Now().Sub(l.began) - time.Duration(since); waited >= stuckAfter {
			return fmt.Sprintf("the log is not read: a write has waited for %s, and lines are dropped when the queue is full", playback.FormatDuration(waited.Truncate(time.Second)))
		}
	}
	if err := l.failing.Load(); err != nil {
		return fmt.Sprintf("the log cannot be written, and lines are dropped: %v", *err)
	}
	return ""
}

// Close writes what waits, for as long as the context lasts. What comes later is
// dropped. The writer's goroutine may outlive it, in a write that never returns.
func (l *Log) Close(ctx context.Context) error {
	l.once.Do(func() {
		l.queue.close()
		close(l.closing)
	})
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("writing the last %s of the log: %w", playback.Count(l.queue.length(), "line", "lines"), ctx.Err())
	}
}

func (l *Log) run() {
	defer close(l.done)
	for {
		select {
		case <-l.queue.ready:
			l.writeWaiting()
		case <-l.closing:
			l.writeWaiting()
			l.reportLost()
			l.writeWaiting()
			return
		}
	}
}

func (l *Log) writeWaiting() {
	var written batch
	for {
		todo := l.queue.take(written)
		if len(todo.lines) == 0 {
			return
		}
		written = todo
		for len(todo.lines) > 0 {
			l.write(todo.next())
		}
		if now := l.cfg.Now(); now.Sub(l.reported) >= reportEvery {
			l.reported = now
			l.reportLost()
		}
	}
}

// write writes some lines with one call. Lines that could not be written are
// lost: who logs cannot wait until the writer recovers.
func (l *Log) write(b batch) {
	text := b.text
	if l.torn {
		text = append([]byte{'\n'}, text...)
	}
	l.writing.Store(int64(max(1, l.cfg.Now().Sub(l.began))))
	n, err := l.cfg.Writer.Write(text)
	l.writing.Store(0)
	if err == nil {
		l.torn = false
		l.failing.Store(nil)
		l.queue.done(b, len(b.lines))
		return
	}
	if l.torn {
		n--
	}
	whole := 0
	for whole < len(b.lines) && n >= b.lines[whole].size {
		n -= b.lines[whole].size
		whole++
	}
	l.torn = n > 0 || l.torn && n < 0
	l.failing.Store(&err)
	l.queue.done(b, whole)
}

// reportLost logs how many lines were lost, once lines can be written again.
func (l *Log) reportLost() {
	if l.failing.Load() != nil {
		return
	}
	lost := l.queue.takeLost()
	if lost == (counts{}) {
		return
	}
	record := slog.NewRecord(l.cfg.Now(), slog.LevelWarn, "log lines were dropped", 0)
	for s := range severities {
		if lost[s] > 0 {
			record.AddAttrs(slog.Uint64(s.name(), lost[s]))
		}
	}
	_ = l.self.Handle(context.Background(), record) // the queue takes everything
}
