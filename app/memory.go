package app

import (
	"context"
	"runtime/debug"
	"strings"
	"time"
)

// tuneInterval is how often the collector is told how much is remembered.
const tuneInterval = 2 * time.Second

// tuneCollector keeps the heap from growing to twice what is remembered once
// that is much (tokencache.GCPercent). Whoever sets GOGC or GOMEMLIMIT has
// decided that, and nothing is changed.
func (a *App) tuneCollector(ctx context.Context) {
	if decided(a.opts.Environ) {
		return
	}
	ticker := time.NewTicker(tuneInterval)
	defer ticker.Stop()
	const byDefault = 100
	set := byDefault
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if percent := a.cache.GCPercent(); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
	}
}

// decided reports whether the operator told Go how to use memory.
func decided(environ []string) bool {
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if (name == "GOGC" || name == "GOMEMLIMIT") && value != "" {
			return true
		}
	}
	return false
}
