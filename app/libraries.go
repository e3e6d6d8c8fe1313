package app

import (
	"log/slog"
	"time"

	"github.com/playgate/playgate/audit"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/telemetry"
)

// libraryLines is how many lines a second libraries may log by themselves, all
// together: a peer whose answers are no HTTP can cause one with each of them.
const libraryLines = 10

// libraryLog returns the logger of what libraries log by themselves.
func libraryLog(log *slog.Logger) *slog.Logger {
	return telemetry.NewLimited(log, libraryLines, time.Now)
}

// logLibraries makes libraries that know no other logger than their own, or the
// process's, log to log: theirs write to standard error, and wait for its reader.
func logLibraries(log *slog.Logger) {
	log = libraryLog(log)
	slog.SetLogLoggerLevel(slog.LevelWarn) // package log's lines say that something is wrong
	slog.SetDefault(log)                   // also of package log
	audit.LogTo(log)
	server.LogTo(log)
}
