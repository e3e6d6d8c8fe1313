package middleware

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Sampling says which of the answers that are neither a refusal nor an error
// are logged: every Nth. 0 is none, 1 all of them.
type Sampling uint64

// ParseSampling reads log.access: "all", "errors" or "1/N".
func ParseSampling(text string) (Sampling, error) {
	switch text {
	case "all":
		return 1, nil
	case "errors", "":
		return 0, nil
	}
	if digits, ok := strings.CutPrefix(text, "1/"); ok {
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil && n > 0 {
			return Sampling(n), nil
		}
	}
	return 0, fmt.Errorf("%.40q is not a sampling: want all, errors, or 1/N such as 1/100", text)
}

// AccessLogConfig is what an AccessLog needs.
type AccessLogConfig struct {
	Logger   *slog.Logger
	Sampling func() Sampling // asked per answer, because a reload may change it
	Now      func() time.Time
	// Observe is called with every answer before it is logged.
	Observe func(c *fiber.Ctx, x *Exchange, took time.Duration)
}

// AccessLog writes one event per request: refusals and errors always, but in a
// flood of them (see refusalLog), the others as sampled. It never logs a query, a
// header or a body, so no credential can get into it.
type AccessLog struct {
	cfg      AccessLogConfig
	seen     atomic.Uint64
	refusals refusalLog
}

// NewAccessLog returns an AccessLog.
func NewAccessLog(cfg AccessLogConfig) *AccessLog {
	return &AccessLog{cfg: cfg, refusals: refusalLog{logger: cfg.Logger, windows: map[refusal]*refusalWindow{}}}
}

// Flush logs the numbers of refusals that were not logged one by one.
func (l *AccessLog) Flush() { l.refusals.flush() }

// Record observes and logs a request whose answer is written, and returns when
// that was.
func (l *AccessLog) Record(c *fiber.Ctx, x *Exchange) time.Time {
	now := l.cfg.Now()
	took := max(0, now.Sub(x.Started)) // the clock may have been set back meanwhile
	l.cfg.Observe(c, x, took)
	if c.Response().StatusCode() < fiber.StatusBadRequest && x.Outcome.Failed == 0 {
		if n := uint64(l.cfg.Sampling()); n == 0 || l.seen.Add(1)%n != 0 {
			return now
		}
	}
	l.Log(c, x, took)
	return now
}

// maxLoggedPath bounds what a stranger can put into a log line.
const maxLoggedPath = 256

// Log writes the event of one request, unless it is one of many refusals. Only
// what the gateway itself got wrong is an error, and what it cannot do right now
// a warning: refusing is its job.
func (l *AccessLog) Log(c *fiber.Ctx, x *Exchange, took time.Duration) {
	status := c.Response().StatusCode()
	level := slog.LevelInfo
	switch {
	case x.Outcome.Internal:
		level = slog.LevelError
	case status >= fiber.StatusInternalServerError:
		level = slog.LevelWarn
	}
	ctx := c.UserContext()
	if !l.cfg.Logger.Enabled(ctx, level) {
		return
	}
	if x.Outcome.Code != "" && !l.refusals.admit(refusalOf(x), level) {
		return
	}
	l.cfg.Logger.LogAttrs(ctx, level, "request", attributes(c, x, took)...)
}

// attributes are what is logged of a request and its answer.
func attributes(c *fiber.Ctx, x *Exchange, took time.Duration) []slog.Attr {
	path := c.Path()
	if len(path) > maxLoggedPath {
		path = path[:maxLoggedPath]
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("request_id", strings.Clone(x.ID)),
		slog.String("method", strings.Clone(c.Method())),
		slog.String("path", strings.Clone(path)),
		slog.Int("status", c.Response().StatusCode()),
		slog.Duration("duration", took),
		slog.String("caller", x.Kind.String()),
	)
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	if x.Endpoint != nil {
		text("route", x.Endpoint.Route)
	}
	if x.Environment != nil {
		text("environment", string(x.Environment.ID))
	}
	text("code", string(x.Outcome.Code))
	text("rule", x.Outcome.Rule)
	text("cache", x.Outcome.Cache)
	text("degraded", x.Outcome.Degraded)
	if x.Outcome.Failed > 0 {
		attrs = append(attrs, slog.Int("failed_items", x.Outcome.Failed))
	}
	if x.Outcome.Cause != nil {
		text("cause", x.Outcome.Cause.Error())
	}
	text("stack", string(x.Outcome.Stack))
	return attrs
}
