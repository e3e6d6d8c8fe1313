package catalog

import (
	"fmt"
	"time"

	"github.com/playgate/playgate/playback"
)

// maxBudgets bounds the callers whose budgets are kept. Mux's pace keeps the
// table far below: a budget is kept only for as long as something of it is spent.
const maxBudgets = 10_000

// allowance is how many look-ups that find nothing a caller may cause: burst at
// once, and one more after every.
type allowance struct {
	burst int
	every time.Duration
	noun  string
}

func viewerAllowance() allowance { return allowance{10, 30 * time.Second, "viewer"} }

// backendAllowance is for all the viewers that an access token asks for.
func backendAllowance() allowance { return allowance{100, time.Second, "access token"} }

func (a allowance) whole() time.Duration { return time.Duration(a.burst) * a.every }

// charge is one look-up on a budget.
type charge struct {
	key string
	allowance
}

// chargesOf returns whose budgets a look-up is charged to: the caller's, and,
// where a backend names a viewer, that viewer's too.
func chargesOf(by playback.Asker) []charge {
	if !by.Backend {
		return []charge{{by.Caller, viewerAllowance()}}
	}
	charges := []charge{{by.Caller, backendAllowance()}}
	if by.Viewer != "" {
		charges = append(charges, charge{by.Caller + " " + by.Viewer, viewerAllowance()})
	}
	return charges
}

// queueKey is the key under which a look-up waits for its turn.
func queueKey(by playback.Asker) string { return by.Caller + " " + by.Viewer }

// budgets holds, for each caller who has spent something, when all of it will
// have come back.
type budgets map[string]time.Time

// take charges a look-up to all budgets, or to none and returns the refusal.
func (b budgets) take(charges []charge, now time.Time) error {
	if len(b) >= maxBudgets {
		for key, at := range b {
			if !at.After(now) {
				delete(b, key)
			}
		}
	}
	for _, c := range charges {
		if wait := b.at(c, now).Add(c.every).Sub(now) - c.whole(); wait > 0 {
			return playback.Errorf(playback.CodeRateLimited, "Too many playback IDs, assets and live streams that do not exist: at most %d, and one more every %s, for each %s.",
				c.burst, playback.FormatDuration(c.every), c.noun).After(wait).
				Because(fmt.Errorf("the %s has used up its look-ups at Mux (catalog.unknown: lookup)", c.noun))
		}
	}
	for _, c := range charges {
		if _, kept := b[c.key]; kept || len(b) < maxBudgets {
			b[c.key] = b.at(c, now).Add(c.every)
		}
	}
	return nil
}

// giveBack undoes the charge of a look-up that found something, or that Mux did
// not answer.
func (b budgets) giveBack(charges []charge, now time.Time) {
	for _, c := range charges {
		if _, kept := b[c.key]; !kept {
			continue
		}
		at := b.at(c, now).Add(-c.every)
		if !at.After(now) {
			delete(b, c.key)
			continue
		}
		b[c.key] = at
	}
}

// at returns when the whole budget is back. A time that the budget cannot reach
// was noted before the clock was set back: then everything counts as spent now.
func (b budgets) at(c charge, now time.Time) time.Time {
	at := b[c.key]
	if at.Before(now) {
		return now
	}
	if latest := now.Add(c.whole()); at.After(latest) {
		b[c.key] = latest
		return latest
	}
	return at
}
