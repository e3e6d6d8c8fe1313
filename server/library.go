package server

import (
	"log/slog"

	fiberlog "github.com/gofiber/fiber/v2/log"
)

// LogTo makes fiber's own logger, which writes to standard error, log to log. It
// holds for the whole process. fasthttp's of this package's servers is silent:
// what goes wrong on connections is counted and logged here.
func LogTo(log *slog.Logger) {
	fiberlog.SetOutput(slog.NewLogLogger(log.With("library", "fiber").Handler(), slog.LevelWarn).Writer()) //nolint:forbidigo // fiber wants a writer
}
