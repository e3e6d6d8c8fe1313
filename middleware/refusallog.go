package middleware

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

const (
	// refusalsLogged is how many refusals of one kind are logged one by one within
	// refusalPeriod. Of those beyond it the number is.
	refusalsLogged = 50
	refusalPeriod  = time.Second
)

// refusal is a kind of refusals: a flood of one must not hide another, nor one
// environment's those of others.
type refusal struct {
	environment playback.EnvironmentID // "" while it is not known
	code        playback.Code
}

func refusalOf(x *Exchange) refusal {
	r := refusal{code: x.Outcome.Code}
	if x.Environment != nil {
		r.environment = x.Environment.ID
	}
	return r
}

// refusalLog bounds how many lines refusals take: anybody can cause them. It holds
// one window for each kind that occurred within the last refusalPeriod.
type refusalLog struct {
	logger *slog.Logger

	mu      sync.Mutex // guards windows and what is in them
	windows map[refusal]*refusalWindow
}

// refusalWindow is a refusalPeriod that begins with a refusal.
type refusalWindow struct {
	seen  int
	level slog.Level // of the most severe
	end   *time.Timer
}

// admit reports whether a refusal is logged by itself.
func (l *refusalLog) admit(r refusal, level slog.Level) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[r]
	if w == nil {
		w = &refusalWindow{level: level}
		w.end = time.AfterFunc(refusalPeriod, func() { l.close(r, w) })
		l.windows[r] = w
	}
	w.seen++
	w.level = max(w.level, level)
	return w.seen <= refusalsLogged
}

// close ends a window, unless another has, and logs what it has kept back.
func (l *refusalLog) close(r refusal, w *refusalWindow) {
	l.mu.Lock()
	current := l.windows[r] == w
	if current {
		delete(l.windows, r)
	}
	l.mu.Unlock()
	count := w.seen - refusalsLogged // nobody changes it any more
	if !current || count <= 0 {
		return
	}
	attrs := []slog.Attr{slog.String("code", string(r.code)), slog.Int("count", count)}
	if r.environment != "" {
		attrs = append(attrs, slog.String("environment", string(r.environment)))
	}
	l.logger.LogAttrs(context.Background(), w.level, "refusals suppressed", attrs...)
}

// flush ends all windows.
func (l *refusalLog) flush() {
	l.mu.Lock()
	open := maps.Clone(l.windows)
	l.mu.Unlock()
	for r, w := range open {
		w.end.Stop()
		l.close(r, w)
	}
}
