package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxFiles       = 64 // of a document with all that it includes
	revisionLength = 12 // hexadecimal digits
)

// errNoFiles refuses what only a document with files around it can have.
var errNoFiles = errors.New("a document without files around it can name none")

// sources reads a document and the files that it names. What it reads, it
// hashes: the sum is the document's revision.
type sources struct {
	readFile func(path string) ([]byte, error)
	line     func(path string) int // see Options.Line
	sum      hash.Hash
	decoders []*decoder // of the document itself, then of the included files
	loaded   []string   // the paths of the included files
	asked    bool       // any file was named
	files    []readFile // everything that was read
}

func newSources(o *Options) *sources {
	return &sources{readFile: o.ReadFile, line: o.Line, sum: sha256.New()}
}

// read returns a file that a document names, relative to that document's own
// path.
func (s *sources) read(from, name string) (path string, text []byte, err error) {
	if s.readFile == nil {
		return name, nil, errNoFiles
	}
	path, s.asked = name, true
	if !filepath.IsAbs(name) {
		path = filepath.Join(filepath.Dir(from), name)
	}
	text, err = s.readFile(path)
	if err == nil {
		s.add(text)
		s.files = append(s.files, readFile{path, sha256.Sum256(text)})
	}
	return path, text, err
}

// add makes a text part of the revision. Its length goes first, so that no two
// lists of texts have one sum.
func (s *sources) add(text []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(text)))
	s.sum.Write(length[:])
	s.sum.Write(text)
}

func (s *sources) revision() string {
	return hex.EncodeToString(s.sum.Sum(nil))[:revisionLength]
}

// problems returns what is wrong with all files: the document's first.
func (s *sources) problems() Problems {
	var all Problems
	for _, d := range s.decoders {
		d.problems.sort()
		all = append(all, d.problems...)
	}
	return all
}

// load reads a document, given its text, with all that it includes.
func (s *sources) load(text []byte, path string) document {
	s.add(text)
	doc := s.parse(&decoder{source: text, path: path, line: s.line}, nil)
	checkIDs(doc.rules)
	return doc
}

// parse reads one file and puts what it includes in front of what it says. The
// chain are the paths from the document to it.
func (s *sources) parse(d *decoder, chain []string) document {
	s.decoders = append(s.decoders, d)
	doc := parse(d, d.source)
	var all document
	for _, include := range doc.includes {
		if included, ok := s.include(d, include, append(slices.Clip(chain), d.path)); ok {
			all.join(included)
		}
	}
	all.join(doc)
	if len(all.rules) > maxRules && len(doc.rules) <= maxRules {
		d.problem(node{path: "include"}, "with what it includes there are more than %d rules", maxRules)
	}
	return all
}

func (s *sources) include(d *decoder, include includeText, chain []string) (document, bool) {
	if len(s.loaded) >= maxFiles {
		d.problem(include.at, "more than %d files are included", maxFiles)
		return document{}, false
	}
	path, text, err := s.read(d.path, include.name)
	switch {
	case err != nil:
		d.problem(include.at, "cannot be read: %s", err)
		return document{}, false
	case slices.Contains(chain, path):
		d.problem(include.at, "%s includes itself", strings.Join(append(chain, path), " → "))
		return document{}, false
	case slices.Contains(s.loaded, path):
		return document{}, false // by two ways: it counts once
	}
	s.loaded = append(s.loaded, path)
	return s.parse(&decoder{source: text, path: path, file: path}, chain), true
}

// join appends what another file says.
func (doc *document) join(other document) {
	doc.rules = append(doc.rules, other.rules...)
	doc.tests = append(doc.tests, other.tests...)
	doc.conditions = append(doc.conditions, other.conditions...)
	doc.messages = append(doc.messages, other.messages...)
	doc.sets = append(doc.sets, other.sets...)
}

// checkIDs refuses a rule that has the ID of one of another file; within a file
// that was found when it was read.
func checkIDs(rules []ruleText) {
	first := make(map[string]*ruleText)
	for i := range rules {
		r := &rules[i]
		one, taken := first[r.id]
		if !taken {
			first[r.id] = r
		} else if one.from != r.from && r.id != "" {
			r.from.problem(node{r.at.Node, r.at.path + ".id"}, "%s has the ID %q too", one.where(), r.id)
		}
	}
}

// where names a rule's place, with the file if it was included.
func (r *ruleText) where() string {
	if r.from.file != "" {
		return r.from.file + ": " + r.at.path
	}
	return r.at.path
}

// includeText is the name of an included file and where it stands.
type includeText struct {
	at   node
	name string
}

func (d *decoder) includes(n node) []includeText {
	var list []includeText
	d.names(n, func(name string, at node) {
		if name == "" {
			d.problem(at, "want the name of a file")
			return
		}
		list = append(list, includeText{at, name})
	})
	return list
}
