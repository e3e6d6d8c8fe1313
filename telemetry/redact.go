package telemetry

import (
	"log/slog"
	"regexp"
)

// jwtLike matches a compact JWT, also one within a URL's query. It is the last
// line of defence behind the types that redact themselves, for text that others
// composed, such as a library's error that quotes a URL.
var jwtLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*`)

const redacted = "[redacted]"

// redact is a slog.HandlerOptions.ReplaceAttr that takes out credentials.
func redact(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case "token", "authorization", "cookie", "secret", "private_key":
		return slog.String(a.Key, redacted)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		if s := a.Value.String(); jwtLike.MatchString(s) {
			return slog.String(a.Key, jwtLike.ReplaceAllString(s, redacted))
		}
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			return slog.String(a.Key, jwtLike.ReplaceAllString(err.Error(), redacted))
		}
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindGroup, slog.KindLogValuer:
	}
	return a
}
