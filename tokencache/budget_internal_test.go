package tokencache

import (
	"testing"
	"time"
)

// TestTheBudgetSurvivesAClockThatIsSetBack: what was paid for by a later time must
// not keep anything from being signed ahead until then.
func TestTheBudgetSurvivesAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, ahead := range []time.Duration{time.Hour, 10 * 365 * 24 * time.Hour} {
		var b budget
		b.wait(now.Add(ahead))
		b.spend(10)
		if wait := b.wait(now); wait > 10*time.Second {
			t.Errorf("set back by %s: nothing is signed ahead for %s", ahead, wait)
		}
		if wait := b.wait(now.Add(10 * time.Second)); wait > 0 {
			t.Errorf("set back by %s: after 10 s nothing is signed ahead for another %s", ahead, wait)
		}
	}
}
