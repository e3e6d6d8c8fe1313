package app

import (
	"io"
	"net/http"

	"github.com/playgate/playgate/clock"
)

// Options say what to run.
type Options struct {
	// Path is the configuration file.
	Path string
	// Environ holds the environment variables, "NAME=value".
	Environ []string
	// Log is where log lines go.
	Log io.Writer
	// Process says that the process is this gateway's: libraries that log by
	// themselves log to its log from then on.
	Process bool
	// Clock has the machine's clocks; nil: the real ones.
	Clock clock.Source
	// Build says what is running.
	Build Build
	// Pages are further handlers by path prefix ("/demo/"); only the demo has any.
	Pages map[string]http.Handler
}

// Build is which build of the gateway this is.
type Build struct{ Version, Commit string }
