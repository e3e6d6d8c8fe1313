package cli

import (
	"errors"
	"strings"
	"unicode"
)

// compactToken is a token as an argument, less what a copy brings with it: white space,
// a pair of quotation marks, and one scheme "Bearer" (RFC 6750 §2.1), of which
// the case does not matter (RFC 9110 §11.1).
type compactToken string

// UnmarshalText trims what surrounds the token. A URL is no token: its query
// may hold several.
func (t *compactToken) UnmarshalText(text []byte) error {
	s := unquoted(string(text))
	const header, scheme = "authorization:", "bearer"
	if len(s) >= len(header) && strings.EqualFold(s[:len(header)], header) {
		s = trimmed(s[len(header):])
	}
	if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) && blank(rune(s[len(scheme)])) {
		s = unquoted(s[len(scheme):])
	}
	switch {
	case s == "", strings.EqualFold(s, scheme):
		return errors.New("the token is empty")
	case strings.Contains(s, "://"):
		return errors.New("this is a URL; give the value of its parameter token alone")
	}
	*t = compactToken(s)
	return nil
}

// unquoted removes a pair of quotation marks, and white space on both of its sides.
func unquoted(s string) string {
	s = trimmed(s)
	for _, pair := range [...][2]string{{`"`, `"`}, {"'", "'"}, {"`", "`"}, {"“", "”"}} {
		if rest, opened := strings.CutPrefix(s, pair[0]); opened && strings.HasSuffix(rest, pair[1]) {
			return trimmed(strings.TrimSuffix(rest, pair[1]))
		}
	}
	return s
}

func trimmed(s string) string { return strings.TrimFunc(s, blank) }

// blank reports whether nothing is to be seen of r: a token is copied from pages
// and editors, which also have a byte order mark and spaces of no width.
func blank(r rune) bool {
	return unicode.IsSpace(r) || r == '\ufeff' || r >= '\u200b' && r <= '\u200d'
}
