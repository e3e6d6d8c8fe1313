package app

import (
	"context"
	"io"
	"log/slog"
	"regexp"
)

// newLogger returns the process's logger. The level can be changed by a reload.
func newLogger(w io.Writer, format string, level *slog.LevelVar) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// jwtLike matches a compact JWT or the query that carries one: the last line
// of defence behind the redacting types, for texts that others composed (a
// library's error that quotes a URL).
var jwtLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*`)

func redactAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case "token", "authorization", "cookie", "secret", "private_key":
		return slog.String(a.Key, "[redacted]")
	}
	switch a.Value.Kind() {
	case slog.KindString:
		if s := a.Value.String(); jwtLike.MatchString(s) {
			return slog.String(a.Key, jwtLike.ReplaceAllString(s, "[redacted]"))
		}
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			return slog.String(a.Key, jwtLike.ReplaceAllString(err.Error(), "[redacted]"))
		}
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindGroup, slog.KindLogValuer:
	}
	return a
}

// unfiltered logs whatever log.level says: records for auditors.
type unfiltered struct{ slog.Handler }

func (unfiltered) Enabled(context.Context, slog.Level) bool { return true }
