package app

import (
	"fmt"

	"github.com/playgate/playgate/playback"
)

// maxReasons bounds what /readyz says: with thousands of environments the first
// ones tell enough.
const maxReasons = 20

// readiness says whether traffic should come here: every environment was tried
// once, and at least one can sign (contract §2).
func (a *App) readiness() readiness {
	if a.life.now() != started || !a.accepting.Load() {
		return readiness{Status: statusNotReady, Reasons: append([]string{"draining or not started"}, a.waiting()...)}
	}
	environments := a.state.Load().environments
	waiting := a.waiting()
	canSign := false
	var reasons []string
	for _, env := range environments {
		reason, able := a.ability(env)
		canSign = canSign || able
		if reason != "" {
			reasons = append(reasons, reason)
		}
	}
	if more := len(reasons) - maxReasons; more > 0 {
		reasons = append(reasons[:maxReasons], "and "+playback.Count(more, "more reason", "more reasons"))
	}
	reasons = append(waiting, reasons...)
	if len(environments) == 0 {
		reasons = []string{"no environment is configured"}
	}
	degraded, why := a.dependencies.degraded()
	reasons = append(reasons, why...)
	if trouble := a.logs.Trouble(); trouble != "" { // no reason to send traffic elsewhere
		reasons = append(reasons, trouble)
	}
	if problem := a.clock.Problem(); problem != "" {
		reasons = append(reasons, problem)
	}
	if problem := a.catalogues.problem(); problem != "" {
		reasons = append(reasons, problem)
	}
	r := readiness{Status: statusNotReady, Degraded: degraded, Reasons: reasons}
	if canSign && len(waiting) == 0 {
		r.Status = statusReady
	}
	return r
}

// ability says whether an environment whose keys were tried can sign, and what is
// to be known of that.
func (a *App) ability(env playback.EnvironmentID) (reason string, able bool) {
	if !a.keys.Tried(env) {
		return "", false // among those that wait
	}
	if _, _, able = a.ring.Active(env); !able {
		return fmt.Sprintf("environment %s: no active signing key", env), false
	}
	if read, _ := a.keys.LastRead(env); a.stale(env) {
		reason = fmt.Sprintf("environment %s: its keys were last read %s ago; the key store does not answer", env, playback.FormatDuration(a.clock.Steady().Sub(read)))
	}
	return reason, able
}

// waiting says of which environments the keys were not tried yet.
func (a *App) waiting() []string {
	environments := a.state.Load().environments
	var first playback.EnvironmentID
	n := 0
	for _, env := range environments {
		if a.keys.Tried(env) {
			continue
		}
		if n++; n == 1 {
			first = env
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return []string{fmt.Sprintf("environment %s: its keys were not read yet", first)}
	}
	return []string{fmt.Sprintf("the keys of %d of %d environments were not read yet, %s among them", n, len(environments), first)}
}
