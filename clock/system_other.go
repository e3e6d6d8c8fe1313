//go:build !linux

package clock

import "time"

// Awake is not known here: a suspension is a jump ahead.
func (system) Awake() (time.Duration, bool) { return 0, false }
