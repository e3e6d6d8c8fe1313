package telemetry

import (
	"context"
	"io"
	"log/slog"
)

// NewLogger returns a logger of every level that writes each line at once, for
// commands that end soon.
func NewLogger(w io.Writer, format string) *slog.Logger {
	return slog.New(newFormatter(format, w))
}

// newFormatter returns a handler that formats records of every level.
func newFormatter(format string, w io.Writer) slog.Handler {
	opts := &slog.HandlerOptions{Level: slog.Level(-128), ReplaceAttr: redact}
	if format == "text" {
		return slog.NewTextHandler(w, opts)
	}
	return slog.NewJSONHandler(w, opts)
}

// lane puts lines of one severity into the queue. slog's handlers call Write once
// for each record.
type lane struct {
	queue    *queue
	severity severity
}

func (l lane) Write(text []byte) (int, error) {
	l.queue.put(l.severity, text)
	return len(text), nil
}

// reports is lane for what the log has to say of itself.
type reports struct{ queue *queue }

func (r reports) Write(text []byte) (int, error) {
	r.queue.putAnyway(warning, text)
	return len(text), nil
}

// handler formats records with the handler of their severity: a line's text does
// not say where it may be dropped.
type handler struct {
	level slog.Leveler
	lanes [severities]slog.Handler
}

// Enabled reports whether records of the level are logged.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// Handle formats a record and puts it into the queue.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	return h.lanes[severityOf(r.Level)].Handle(ctx, r)
}

// WithAttrs returns a handler whose records have the attributes, too.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(lane slog.Handler) slog.Handler { return lane.WithAttrs(attrs) })
}

// WithGroup returns a handler whose records' attributes are in the group.
func (h *handler) WithGroup(name string) slog.Handler {
	return h.with(func(lane slog.Handler) slog.Handler { return lane.WithGroup(name) })
}

func (h *handler) with(change func(slog.Handler) slog.Handler) slog.Handler {
	next := &handler{level: h.level}
	for s, lane := range h.lanes {
		next.lanes[s] = change(lane)
	}
	return next
}
