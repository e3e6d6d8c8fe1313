package configs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Memory lets Load take over what an earlier Load made of environments whose text
// has not changed, nor any file that they name: reading a configuration with
// thousands of environments again costs little more than what is new in it. It
// changes nothing of what is accepted or reported. A Memory belongs to one path,
// and is used by one Load at a time; the zero Memory remembers nothing.
type Memory struct {
	place string // what environments depend on beside their text and their files
	known map[[sha256.Size]byte]*remembered
	taken int
}

// Taken returns how many environments the last Load took over.
func (m *Memory) Taken() int { return m.taken }

// remembered is what came of an environment's text.
type remembered struct {
	env  *Environment
	path string // its YAML path
	line int    // the first of its text
	reading
}

// reading is what belongs to an environment that was checked.
type reading struct {
	files    map[string][sha256.Size]byte // all that was read
	named    []string                     // of these, what the environment names
	warnings []Problem
	kept     any // see Checked

	exposures map[string]exposure // of the files with secrets
}

// forget drops everything if environments depend on something else than they did.
// around is the text around them: other sections may decide what is right in them.
func (m *Memory) forget(path, cwd, around string, environ []string) {
	ours := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool { return !strings.HasPrefix(entry, variablePrefix) })
	slices.Sort(ours)
	if place := strings.Join(append([]string{path, cwd, around}, ours...), "\x00"); place != m.place {
		*m = Memory{place: place}
	}
}

// choose returns, by segment, what is known of it and still holds; nil for all
// others.
func (m *Memory) choose(list []segment, l *loader) []*remembered {
	times := map[[sha256.Size]byte]int{}
	for i := range list {
		times[list[i].sum]++
	}
	chosen := make([]*remembered, len(list))
	for i := range list {
		known := m.known[list[i].sum]
		if known == nil || times[list[i].sum] > 1 {
			continue // two that are the same are a mistake, to be reported as one
		}
		stands := true
		for path, sum := range known.files {
			now, err := l.sumOf(path)
			stands = stands && err == nil && now == sum
		}
		for path, exposed := range known.exposures {
			stands = stands && exposureOf(l.source.Exposure, path) == exposed
		}
		if stands {
			chosen[i] = known
		}
	}
	return chosen
}

// reduced returns a document with a marker in place of each chosen segment. Every
// other line stays where it is.
func reduced(raw []byte, list []segment, chosen []*remembered) []byte {
	var out bytes.Buffer
	at := 0
	for i := range list {
		if chosen[i] == nil {
			continue
		}
		s := &list[i]
		out.Write(raw[at:s.start])
		out.WriteString(strings.Repeat(" ", s.column) + `- "` + markerPrefix + strconv.Itoa(i) + `"`)
		out.Write(bytes.Repeat([]byte("\n"), bytes.Count(raw[s.start:s.end], []byte("\n"))))
		at = s.end
	}
	out.Write(raw[at:])
	return out.Bytes()
}

// keep remembers the environments of a document that was accepted. It remembers
// none of them unless every segment is one: otherwise the text of some is not
// where it seems to be.
func (m *Memory) keep(l *loader, list []segment) {
	m.known, m.taken = nil, len(l.taken)
	byLine := make(map[int]*segment, len(list))
	for i := range list {
		byLine[list[i].line] = &list[i]
	}
	known := make(map[[sha256.Size]byte]*remembered, len(list))
	for path, e := range l.config.Environments() {
		s := byLine[l.report.line(path)]
		if s == nil {
			return
		}
		r := &remembered{env: e, path: path, line: s.line}
		if old := l.taken[path]; old != nil {
			r.reading = old.reading
			r.warnings = rebased(old, path, s.line)
		} else {
			r.reading = *l.readings[path]
		}
		known[s.sum] = r
	}
	if len(known) == len(list) {
		m.known = known
	}
}

// rebased returns the warnings about an environment with the places that they
// have now.
func rebased(r *remembered, path string, line int) []Problem {
	if r.path == path && r.line == line {
		return r.warnings
	}
	moved := slices.Clone(r.warnings)
	for i := range moved {
		moved[i].Path = moveTo(moved[i].Path, r.path, path)
		if moved[i].Line > 0 {
			moved[i].Line += line - r.line
		}
	}
	return moved
}

func moveTo(path, from, to string) string {
	if rest, ok := strings.CutPrefix(path, from); ok {
		return to + rest
	}
	return path
}

// taking is the part of a decoder that knows which environments are taken over.
type taking struct {
	chosen []*remembered // by the number in the marker
	taken  map[string]*remembered
}

// take returns the environment that a marker stands for.
func (t *taking) take(n *yaml.Node, path string) (*Environment, bool) {
	digits, ok := strings.CutPrefix(n.Value, markerPrefix)
	if !ok || n.Kind != yaml.ScalarNode {
		return nil, false
	}
	number, err := strconv.Atoi(digits)
	if err != nil || number >= len(t.chosen) || t.chosen[number] == nil {
		return nil, false
	}
	r := t.chosen[number]
	t.taken[path] = r
	e := *r.env
	e.Policy.Path = moveTo(e.Policy.Path, r.path, path)
	e.Shadow.Path = moveTo(e.Shadow.Path, r.path, path)
	return &e, true
}

// complete reports whether every marker was found where an environment belongs.
func (t *taking) complete() bool {
	n := 0
	for _, r := range t.chosen {
		if r != nil {
			n++
		}
	}
	return n == len(t.taken)
}

// takeOver adds to the report what an earlier Load said of an environment.
func (l *loader) takeOver(path string, e *Environment, r *remembered) {
	l.report.warnings = append(l.report.warnings, rebased(r, path, l.report.line(path))...)
	for _, file := range r.named {
		l.name(file)
	}
	if l.source.Take != nil {
		l.source.Take(path, e, r.kept)
	}
}

// sumOf returns the sum of a file's content, which is read once for all
// environments that name it.
func (l *loader) sumOf(path string) ([sha256.Size]byte, error) {
	if sum, ok := l.sums[path]; ok {
		return sum, nil
	}
	var sum [sha256.Size]byte
	var err error
	if l.source.Sum != nil {
		sum, err = l.source.Sum(path)
	} else {
		var text []byte
		text, err = l.source.ReadFile(path)
		sum = sha256.Sum256(text)
	}
	if err != nil {
		return sum, fmt.Errorf("reading %s: %w", path, err)
	}
	l.sums[path] = sum
	return sum, nil
}
