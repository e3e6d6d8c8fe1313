package policy

import (
	"strings"
	"unicode"
)

// tokenKind is the kind of a token of a condition that may be no CEL at all.
type tokenKind uint8

const (
	wordToken tokenKind = iota
	numberToken
	quotedToken
	openToken // a text whose closing quote is missing
	signToken
)

// token is a part of a condition.
type token struct {
	kind  tokenKind
	text  string
	start int // in runes
}

// end is where the token ends, in runes.
func (t token) end() int { return t.start + len([]rune(t.text)) }

// is reports whether the token is a sign or a word; words in any case.
func (t token) is(text string) bool {
	switch t.kind {
	case signToken:
		return t.text == text
	case wordToken:
		return strings.EqualFold(t.text, text)
	case numberToken, quotedToken, openToken:
	}
	return false
}

// signs are those of more than one character, of CEL and of other languages, the
// longer ones first.
var signs = []string{ //nolint:gochecknoglobals // a constant table
	"===", "!==", "&&", "||", "==", "!=", "<=", ">=", "=~", "=>", "=<", "<>", "->", "::", "?.", ".?", "[?", "??", ":=",
}

// tokens takes a condition apart. White space and comments are left out.
func tokens(source string) (list []token) {
	text := []rune(source)
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case unicode.IsSpace(c):
			i++
			continue
		case c == '/' && i+1 < len(text) && text[i+1] == '/':
			for i < len(text) && text[i] != '\n' {
				i++
			}
			continue
		}
		t := tokenAt(text, i)
		list = append(list, t)
		i = t.end()
	}
	return list
}

func tokenAt(text []rune, i int) token {
	c := text[i]
	word := func(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }
	switch {
	case isQuote(c):
		return quotedAt(text, i, i)
	case (c == 'r' || c == 'R' || c == 'b' || c == 'B') && i+1 < len(text) && isQuote(text[i+1]):
		return quotedAt(text, i, i+1)
	case unicode.IsDigit(c):
		return token{numberToken, string(text[i:run(text, i, func(c rune) bool { return unicode.IsDigit(c) || c == '.' })]), i}
	case word(c):
		return token{wordToken, string(text[i:run(text, i, word)]), i}
	}
	for _, sign := range signs {
		if strings.HasPrefix(string(text[i:min(i+3, len(text))]), sign) {
			return token{signToken, sign, i}
		}
	}
	return token{signToken, string(c), i}
}

func run(text []rune, i int, in func(rune) bool) int {
	for i < len(text) && in(text[i]) {
		i++
	}
	return i
}

// closing are the quotes that end a text, by those that begin one. CEL has the
// first two.
var closing = map[rune]rune{'"': '"', '\'': '\'', '“': '”', '”': '”', '„': '“', '‘': '’', '’': '’'} //nolint:gochecknoglobals // a constant table

func isQuote(c rune) bool { return closing[c] != 0 }

// quotedAt reads a text that begins at start with the quote at i.
func quotedAt(text []rune, start, i int) token {
	quote, raw := closing[text[i]], i > start && (text[start]|0x20) == 'r'
	if quote < 0x80 && i+2 < len(text) && text[i+1] == quote && text[i+2] == quote { // """
		for j := i + 3; j+2 < len(text); j++ {
			if text[j] == quote && text[j+1] == quote && text[j+2] == quote {
				return token{quotedToken, string(text[start : j+3]), start}
			}
		}
		return token{openToken, string(text[start:]), start}
	}
	for j := i + 1; j < len(text); j++ {
		switch {
		case text[j] == '\\' && !raw:
			j++
		case text[j] == quote:
			return token{quotedToken, string(text[start : j+1]), start}
		}
	}
	return token{openToken, string(text[start:]), start}
}

// placeIn returns the line and the column of an offset, from 1.
func placeIn(source string, offset int) (line, column int) {
	line, column = 1, 1
	for i, c := range []rune(source) {
		if i == offset {
			break
		}
		column++
		if c == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}
