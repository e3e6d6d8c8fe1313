package policy

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/playback"
)

func didYouMean(written string, words []string) string { return playback.DidYouMean(written, words) }

func nearest(written string, words []string) string { return playback.Nearest(written, words) }

func suggestParam(t playback.TokenType, name string) string {
	if playback.KnownParam(t, name) || playback.IsReservedClaim(name) {
		return ""
	}
	return didYouMean(name, playback.ParamNames(t))
}

// malformed reports text that is not YAML; the parser says the line in words.
func (d *decoder) malformed(err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	p := Problem{File: d.file, Message: message}
	if n, _ := fmt.Sscanf(message, "line %d:", &p.Line); n == 1 {
		_, p.Message, _ = strings.Cut(message, ": ")
	}
	d.problems = append(d.problems, p)
}

// finding is what is wrong with an expression. Its place counts from 1 within
// the expression; line 0 is the expression as a whole.
type finding struct {
	line, column int
	message      string
}

// report adds the findings about an expression, each at its place in the file.
func (d *decoder) report(t expressionText, findings []finding) {
	for _, f := range findings {
		p := Problem{Path: t.at.path, File: d.file, Line: t.at.Line, Column: t.at.Column, Message: f.message}
		if f.line > 0 {
			if line, column, ok := d.locate(t.at.Node, t.source, f); ok && d.line == nil {
				p.Line, p.Column = line, column
			} else if strings.Contains(strings.TrimSpace(t.source), "\n") { // the place is that of its first line
				p.Message = fmt.Sprintf("in its line %d: %s", f.line, f.message)
			}
		}
		d.problems = append(d.problems, p)
	}
}

// locate finds the place in the file of a place in a text: it reads the file
// from where the value begins, beside the value, and stops as soon as the two
// cannot be told to agree. Only what YAML writes as it is (plain, quoted
// without escapes, on one line or in a literal block) is followed.
func (d *decoder) locate(n *yaml.Node, source string, f finding) (line, column int, ok bool) {
	lines := strings.Split(string(d.source), "\n")
	wanted := strings.Split(source, "\n")
	if f.line > len(wanted) || n.Line > len(lines) {
		return 0, 0, false
	}
	text, first := wanted[f.line-1], n.Line-1
	switch n.Style {
	case yaml.LiteralStyle:
		first += f.line
	case yaml.FoldedStyle:
		return locateFolded(lines, n.Line, strings.TrimRight(source, "\n"), f)
	default:
		if len(wanted) > 1 {
			return 0, 0, false
		}
	}
	if first >= len(lines) {
		return 0, 0, false
	}
	from := 0
	if n.Style != yaml.LiteralStyle {
		from = len(string([]rune(lines[first])[:min(n.Column-1, len([]rune(lines[first])))]))
	}
	at := strings.Index(lines[first][from:], text)
	if at < 0 {
		return 0, 0, false
	}
	return first + 1, len([]rune(lines[first][:from+at])) + f.column, true
}

// locateFolded does the same in a folded block of one paragraph, whose lines from
// the one at index first on are joined with spaces.
func locateFolded(lines []string, first int, source string, f finding) (line, column int, ok bool) {
	if strings.Contains(source, "\n") {
		return 0, 0, false
	}
	rest, before := source, 0
	for i := first; i < len(lines); i++ {
		text := strings.TrimSpace(lines[i])
		below, isNext := strings.CutPrefix(rest, text)
		if !isNext || text == "" {
			return 0, 0, false
		}
		length := len([]rune(text))
		if f.column <= before+length+1 { // the end of the text, too
			return i + 1, strings.Index(lines[i], text) + f.column - before, true
		}
		before += length + 1
		rest = strings.TrimPrefix(below, " ")
	}
	return 0, 0, false
}
