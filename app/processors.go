package app

import (
	"runtime"
	"strings"

	"github.com/playgate/playgate/configs"
)

// addProcessors gives Go half a processor for each signing worker beyond its
// default, one for each core, and returns what undoes that. A worker's thread
// yields its core to everybody, but while it waits for one it may still hold
// its processor; where the workers are as many as the processors, requests that
// need no signature then stand still for as long. The kernel decides who has
// the cores, so more processors cost nothing.
//
// Whoever sets GOMAXPROCS has decided that, and nothing is changed.
func addProcessors(cfg *configs.Config, environ []string) (undo func()) {
	for _, variable := range environ {
		if value, ok := strings.CutPrefix(variable, "GOMAXPROCS="); ok && value != "" {
			return func() {}
		}
	}
	cores := runtime.GOMAXPROCS(0)
	workers := cfg.Signer.Concurrency
	if workers <= 0 {
		workers = cores
	}
	runtime.GOMAXPROCS(cores + (workers+1)/2)
	return func() { runtime.GOMAXPROCS(cores) }
}
