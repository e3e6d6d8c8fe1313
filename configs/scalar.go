package configs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playgate/playgate/tenant"
)

// scalar is a type that one YAML scalar fills. parse gets the text as it was
// written; text gives it back in its canonical form.
type scalar interface {
	parse(text string) error
	text() string
}

// Path is a file or directory. After Load it is absolute, or "" for none.
type Path string

// Size is a number of bytes.
type Size int64

// sizeUnits are the units of a Size, the largest of each kind first.
func sizeUnits() []struct {
	name  string
	bytes int64
} {
	return []struct {
		name  string
		bytes int64
	}{
		{"TiB", 1 << 40},
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"KiB", 1 << 10},
		{"TB", 1e12},
		{"GB", 1e9},
		{"MB", 1e6},
		{"KB", 1e3},
		{"B", 1},
	}
}

func (s *Size) parse(text string) error {
	digits, unit := text, int64(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = rest, u.bytes
			break
		}
	}
	n, err := wholeNumber(digits)
	if err != nil || n < 1 || n > math.MaxInt64/unit {
		return fmt.Errorf("%.40q is not a size: want a positive number of bytes, or 64KiB, 256MiB, 1GiB", text)
	}
	*s = Size(n * unit)
	return nil
}

func (s *Size) text() string { return s.String() }

// String returns the size in the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits()[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// AccessLog says which requests are logged besides refusals and errors, which
// always are: 0 none of them, 1 all, N one in N.
type AccessLog uint32

func (a *AccessLog) parse(text string) error {
	switch text {
	case "all":
		*a = 1
		return nil
	case "errors", "":
		*a = 0
		return nil
	}
	digits, ok := strings.CutPrefix(text, "1/")
	n, err := wholeNumber(digits)
	if !ok || err != nil || n < 1 || n > math.MaxUint32 {
		return fmt.Errorf("%.40q: want all, errors, or one request in N as 1/N", text)
	}
	*a = AccessLog(n)
	return nil
}

func (a *AccessLog) text() string { return a.String() }

// String returns "all", "errors" or "1/N".
func (a AccessLog) String() string {
	switch a {
	case 0:
		return "errors"
	case 1:
		return "all"
	}
	return "1/" + strconv.FormatUint(uint64(a), 10)
}

// Rate is a rate limit in the format of ulule/limiter: a positive number, a
// hyphen and S, M, H or D for second, minute, hour, day. "" means none.
type Rate string

// maxRate keeps counters far from overflow; no gateway serves more.
const maxRate = 1_000_000_000_000

func (r *Rate) parse(text string) error {
	*r = Rate(strings.ToUpper(text))
	if text == "" {
		return nil
	}
	digits, period, ok := strings.Cut(string(*r), "-")
	n, err := wholeNumber(digits)
	if !ok || err != nil || n < 1 || n > maxRate || !slices.Contains([]string{"S", "M", "H", "D"}, period) {
		return fmt.Errorf("%.40q is not a rate: want a number and S, M, H or D, such as \"120-M\", or \"\" for none", text)
	}
	return nil
}

func (r *Rate) text() string { return string(*r) }

// SecretHash is the hash of an access token's secret. Like every secret it
// shows nowhere; Hex gives the text.
type SecretHash struct{ tenant.SecretHash }

func (h *SecretHash) parse(text string) (err error) {
	h.SecretHash, err = tenant.ParseSecretHash(text)
	return err
}

const redacted = "[redacted]"

func (h *SecretHash) text() string {
	if h.SecretHash == (tenant.SecretHash{}) {
		return ""
	}
	return redacted
}

// Time is a moment, given as RFC 3339 or as Unix seconds.
type Time struct{ time.Time }

func (t *Time) parse(text string) error {
	if n, err := wholeNumber(text); err == nil && n <= maxUnix {
		t.Time = time.Unix(n, 0).UTC()
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && (n < 0 || n > maxUnix) {
		return fmt.Errorf("%.40q is not a time: Unix seconds are 0 to %d; before 1970 want RFC 3339, such as 1969-07-20T20:17:00Z", text, maxUnix)
	}
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("%.40q is not a time: want RFC 3339, such as 2027-01-01T00:00:00Z, or Unix seconds", text)
	}
	t.Time = parsed.UTC()
	return nil
}

const maxUnix = 253402300799 // 9999-12-31T23:59:59Z, the last that RFC 3339 can write

func (t *Time) text() string { return t.Format(time.RFC3339Nano) }

// durationText writes a duration as a configuration may have it: in the largest
// unit of s, m, h, d that divides it, one day as 24h.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	in := func(unit time.Duration, name string) string { return strconv.FormatInt(int64(d/unit), 10) + name }
	switch {
	case d == 0:
	case d%day == 0 && d > day:
		return in(day, "d")
	case d%time.Hour == 0:
		return in(time.Hour, "h")
	case d%time.Minute == 0:
		return in(time.Minute, "m")
	}
	return in(time.Second, "s")
}

var errWholeNumber = errors.New("want an integer")

// wholeNumber reads a non-negative decimal integer in its one spelling: no
// sign, no leading zero (YAML 1.1 would read 010 as 8), no underscore, no 0x.
func wholeNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, errWholeNumber
	}
	return n, nil
}
