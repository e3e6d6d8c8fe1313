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

// FormatDuration writes a duration for people, without parts that are zero: 7d,
// 24h, 19h12m, 1m30s, 250ms. Up to two minutes it is in seconds, as people write
// those; a time of a second and more has no fraction.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + FormatDuration(-max(d, -maxDuration))
	case d < time.Second:
		return d.String()
	case d < 2*time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	case d > day && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	var text []byte
	for _, unit := range [...]struct {
		size time.Duration
		name byte
	}{{time.Hour, 'h'}, {time.Minute, 'm'}, {time.Second, 's'}} {
		if n := d / unit.size; n > 0 {
			text = append(strconv.AppendInt(text, int64(n), 10), unit.name)
			d %= unit.size
		}
	}
	return string(text)
}

// Count writes a number with its noun: 1 key, 2 keys.
func Count[N ~int | ~int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(int64(n), 10) + " " + many
}
