package audit

import (
	"io"
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"
)

// LogTo makes OpenTelemetry and gRPC, which comes with it, log to log instead of
// standard error. It holds for the whole process, and for what they log later.
func LogTo(log *slog.Logger) {
	log = log.With("library", "opentelemetry")
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("OpenTelemetry reports an error", "error", shown(err))
	}))
	// gRPC writes errors to all three; the default is errors only, too.
	errors := slog.NewLogLogger(log.With("library", "grpc").Handler(), slog.LevelWarn).Writer() //nolint:forbidigo // gRPC wants a writer
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, errors))
}

// shown returns an error's text, unless that quotes headers of the environment:
// those hold credentials.
func shown(err error) string {
	if text := err.Error(); !strings.Contains(text, "invalid header") {
		return text
	}
	return "OTEL_EXPORTER_OTLP_HEADERS or OTEL_EXPORTER_OTLP_LOGS_HEADERS: want key=value, separated by commas, values percent-encoded " +
		"(what they hold is not shown)"
}
