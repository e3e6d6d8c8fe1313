package load

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// expiry returns the exp of a compact token, in Unix seconds.
func expiry(token string) (int64, error) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return 0, fmt.Errorf("reading a token: %w", err)
	}
	var claims struct{ Exp int64 }
	if err := json.Unmarshal(text, &claims); err != nil {
		return 0, fmt.Errorf("reading a token: %w", err)
	}
	return claims.Exp, nil
}

// RollingTogether returns the largest group of playback IDs whose video tokens
// expire at the same place of a grid, ascending.
func (l *Ledger) RollingTogether(grid time.Duration) ([]uint32, error) {
	groups := make([][]uint32, int(grid.Seconds()))
	for i := range l.shards {
		for key, page := range l.shards[i].pages {
			exp, err := expiry(page[0].token)
			if err != nil {
				return nil, err
			}
			place := exp % int64(len(groups))
			groups[place] = append(groups[place], key.id)
		}
	}
	largest := slices.MaxFunc(groups, func(a, b []uint32) int { return len(a) - len(b) })
	slices.Sort(largest)
	return largest, nil
}

// Phase returns where on the grid a playback ID's token rolls over, in seconds.
func (l *Ledger) Phase(id uint32, grid time.Duration) int64 {
	s := &l.shards[id%uint32(len(l.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	page := s.pages[pageKey{id, video}]
	if len(page) == 0 {
		return 0
	}
	exp, err := expiry(page[0].token)
	if err != nil {
		return 0
	}
	return exp % int64(grid.Seconds())
}

// Choose lets a source ask for chosen playback IDs: its nth is the list's nth.
func Choose(source Source, ids []uint32) Source {
	return func(seq uint64) Request {
		r := source(seq)
		r.ID = ids[r.ID]
		return r
	}
}
