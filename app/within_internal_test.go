package app

import (
	"testing"
	"time"
)

// TestAPlanOfAClockThatWasAheadDoesNotCount: otherwise nothing would be due until
// then.
func TestAPlanOfAClockThatWasAheadDoesNotCount(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for ahead, want := range map[time.Duration]bool{
		-time.Second: false, 0: false, time.Second: true, rotationReplan: true, rotationReplan + 1: false, time.Hour: false,
	} {
		if got := within(now, now.Add(ahead), rotationReplan); got != want {
			t.Errorf("a plan for %s from now counts: %v, want %v", ahead, got, want)
		}
	}
}
