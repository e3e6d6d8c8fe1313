package configs

import (
	"bytes"
	"crypto/sha256"
	"strings"
)

// segment is the text of one item of a list of environments, whole lines.
type segment struct {
	start, end int // of the text, in the document
	line       int // of the dash, from 1
	column     int // of the dash, from 0
	sum        [sha256.Size]byte
}

// segments finds the items of all block lists under a key "environments" by their
// indentation, without reading the YAML. It gives up where an item's meaning could
// depend on another one's text: anchors, directives, several documents. What it
// takes for an item may be none, a line of a quoted text for instance; whoever uses
// it compares with what the YAML library finds.
func segments(raw []byte) (list []segment, ok bool) {
	if bytes.Contains(raw, []byte(markerPrefix)) || hasReferences(raw) {
		return nil, false
	}
	var s splitter
	for at := 0; at < len(raw); s.number++ {
		end := len(raw)
		if n := bytes.IndexByte(raw[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		if !s.line(raw[at:end], at) {
			return nil, false
		}
		at = end
	}
	s.close(len(raw))
	for i := range s.list {
		one := &s.list[i]
		one.sum = sha256.Sum256(raw[one.start:one.end])
	}
	return s.list, true
}

// around returns the text without the segments.
func around(raw []byte, list []segment) string {
	var out strings.Builder
	at := 0
	for i := range list {
		out.Write(raw[at:list[i].start])
		at = list[i].end
	}
	out.Write(raw[at:])
	return out.String()
}

// hasReferences reports whether there may be an anchor or an alias.
func hasReferences(raw []byte) bool {
	for _, sign := range []byte("&*") {
		for rest := raw; ; {
			n := bytes.IndexByte(rest, sign)
			if n < 0 {
				break
			}
			begins := n == 0 || bytes.IndexByte([]byte(" \t\r\n[{,:-?"), rest[n-1]) >= 0
			rest = rest[n+1:]
			if begins && len(rest) > 0 && bytes.IndexByte([]byte(" \t\r\n&*\"',]}"), rest[0]) < 0 && rest[0] != '.' {
				return true
			}
		}
	}
	return false
}

// splitter goes through the lines of a document.
type splitter struct {
	list    []segment
	number  int  // of lines so far
	inside  bool // of a list of environments
	open    bool // the last segment has no end yet
	column  int  // of the list's dashes
	waiting bool // the line before was the key of a list
	key     int  // its column
}

// line takes the next line. false: it is none that this can deal with.
func (s *splitter) line(text []byte, at int) bool {
	content := bytes.TrimLeft(text, " ")
	indent := len(text) - len(content)
	content = bytes.TrimRight(content, " \t\r\n")
	switch {
	case len(content) == 0 || content[0] == '#':
		return true
	case content[0] == '\t' || indent == 0 && (content[0] == '%' || bytes.HasPrefix(content, []byte("...")) || bytes.HasPrefix(content, []byte("---")) && at > 0):
		return false
	}
	dash := content[0] == '-' && (len(content) == 1 || content[1] == ' ')
	if s.waiting {
		s.waiting = false
		s.inside, s.column = dash && indent >= s.key, indent
	}
	switch {
	case s.inside && indent == s.column && dash:
		s.close(at)
		s.list = append(s.list, segment{start: at, line: s.number + 1, column: indent})
		s.open = true
		return true
	case s.inside && indent > s.column:
		return true
	case s.inside:
		s.close(at)
		s.inside = false
	}
	for bytes.HasPrefix(content, []byte("- ")) { // an organization whose first key this is
		shorter := bytes.TrimLeft(content[1:], " ")
		indent += len(content) - len(shorter)
		content = shorter
	}
	s.waiting, s.key = isKey(content, "environments"), indent
	return true
}

func (s *splitter) close(at int) {
	if s.open {
		s.list[len(s.list)-1].end = at
		s.open = false
	}
}

// isKey reports whether a line is a key alone, with nothing behind it but a
// comment.
func isKey(content []byte, name string) bool {
	rest, ok := bytes.CutPrefix(content, []byte(name+":"))
	rest = bytes.TrimLeft(rest, " ")
	return ok && (len(rest) == 0 || rest[0] == '#')
}

// markerPrefix begins the texts that stand in a document in place of environments
// that are taken over. No environment is a text.
const markerPrefix = "playgate: an environment that is taken over, number "
