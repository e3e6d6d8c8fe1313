package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/playgate/playgate/playback"
)

// Unix seconds.
const (
	year2000 = 946684800
	year2100 = 4102444800
	// lastSecond is the last that RFC 3339 can write: 9999-12-31T23:59:59Z.
	lastSecond = 253402300799
)

// expiryMeaning says when an exp is, and whether it was meant to be then.
func expiryMeaning(value json.RawMessage, now time.Time) string {
	seconds, err := strconv.ParseFloat(string(value), 64) // RFC 7519 §2: a NumericDate may have a fraction
	switch {
	case err != nil:
		return "NOT a number of Unix seconds: players take the token for expired"
	case seconds < 0:
		return "NOT a time that a token can have: players take it for expired"
	}
	for _, unit := range [...]struct {
		name      string
		perSecond float64
	}{{"milliseconds", 1e3}, {"microseconds", 1e6}, {"nanoseconds", 1e9}} {
		if meant := seconds / unit.perSecond; meant >= year2000 && meant < year2100 {
			return fmt.Sprintf("NOT seconds, it seems: in %s it is %s; read as seconds, as Mux does, the token lives for %s",
				unit.name, time.Unix(int64(meant), 0).UTC().Format(time.RFC3339), span(seconds-float64(now.Unix())))
		}
	}
	when := "after the year 9999"
	if seconds <= lastSecond {
		when = time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
	}
	left := seconds - float64(now.UnixNano())/1e9
	if left > 0 {
		return "expires " + when + ", in " + span(left)
	}
	return "EXPIRED " + when + ", " + span(-left) + " ago"
}

// span writes how long something lasts. A time.Duration ends after 292 years.
func span(seconds float64) string {
	const day, year = 24 * 60 * 60, 365.2425 * 24 * 60 * 60
	switch {
	case seconds >= 1e6*year:
		return "more than a million years"
	case seconds >= 2*year:
		return fmt.Sprintf("%.0f years", seconds/year)
	case seconds >= 2*day:
		return fmt.Sprintf("%d days", int64(seconds/day))
	}
	return playback.FormatDuration(time.Duration(seconds) * time.Second)
}
