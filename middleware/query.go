package middleware

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Query walks a raw query string, pair by pair in the order in which they
// stand there. Unlike fasthttp's it is strict about percent-encoding: a name
// or value that is badly encoded, or not UTF-8 once decoded, is never guessed.
// A "+" is a space. Name and Value are views of Rest unless they had to be
// decoded.
type Query struct {
	Rest  string // what is still to be read
	Raw   string // the pair as it stands there
	Name  string
	Value string
	Err   error // this pair is badly encoded; Name and Value are as they stand there
}

var errEncoding = errors.New("is not percent-encoded UTF-8")

// Next reads the next pair and reports whether there was one. Empty pairs
// ("&&") are skipped.
func (q *Query) Next() bool {
	for q.Rest != "" {
		pair, rest, _ := strings.Cut(q.Rest, "&")
		q.Rest = rest
		if pair == "" {
			continue
		}
		q.Raw = pair
		name, value, _ := strings.Cut(pair, "=")
		var errName, errValue error
		q.Name, errName = Unescape(name)
		q.Value, errValue = Unescape(value)
		q.Err = errors.Join(errName, errValue)
		return true
	}
	return false
}

// Unescape decodes percent-encoding and "+". On an error it returns s as it
// is.
func Unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		if !utf8.ValidString(s) {
			return s, errEncoding
		}
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) {
				return s, errEncoding
			}
			hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
			if hi < 0 || lo < 0 {
				return s, errEncoding
			}
			out = append(out, byte(hi<<4|lo)) //nolint:gosec // two nibbles make a byte
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	if !utf8.Valid(out) {
		return s, errEncoding
	}
	return string(out), nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
