package playback

import (
	"fmt"
	"strconv"
	"time"
)

// maxDuration bounds what anyone may type; beyond it time.Duration would
// overflow long before a token could live that long.
const maxDuration = 100 * 365 * 24 * time.Hour

// ParseDuration reads an integer of seconds, or an integer followed by one of
// s, m, h, d: "90s", "15m", "1h", "7d". Zero is read; whether it is allowed is
// the caller's business. Fractions, signs and combined units are refused,
// because SDKs disagree about them (mux.md §8.1).
func ParseDuration(s string) (time.Duration, error) {
	digits, unit := s, time.Second
	if s != "" {
		switch s[len(s)-1] {
		case 's':
			digits = s[:len(s)-1]
		case 'm':
			digits, unit = s[:len(s)-1], time.Minute
		case 'h':
			digits, unit = s[:len(s)-1], time.Hour
		case 'd':
			digits, unit = s[:len(s)-1], 24*time.Hour
		}
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			digits = ""
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(maxDuration/unit) {
		return 0, fmt.Errorf("%.40q is not a duration: want integer seconds, or 90s, 15m, 1h, 7d", s)
	}
	return time.Duration(n) * unit, nil
}
