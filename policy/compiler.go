package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/playgate/playgate/playback"
)

// Compiler compiles the documents of many environments. Of a document that
// several have it compiles one copy, which they share; what it compiled before it
// takes again, as long as the document and the files that it names are the same.
// The rule language is set up once for all documents that add nothing to it. It
// is safe for concurrent use; the zero Compiler has compiled nothing.
type Compiler struct {
	mu         sync.Mutex // guards what follows
	plain      *language  // of documents without conditions, sets and pseudonyms; nil: not set up yet
	compiled   map[[sha256.Size]byte]*shared
	generation int
	count      int // of compilations
}

// shared is a compiled document without an environment.
type shared struct {
	policy     *Policy // nil: it has pseudonyms, so each environment has a copy of its own
	files      []readFile
	generation int // in which it was last asked for
}

// readFile is a file that a document names, as it was when it was compiled.
type readFile struct {
	path string
	sum  [sha256.Size]byte
}

// Compile compiles a document for an environment. The error is Problems.
func (c *Compiler) Compile(text []byte, o Options) (*Policy, error) {
	key := keyOf(text, &o, "")
	known := c.find(key)
	if known != nil && known.policy == nil {
		key = keyOf(text, &o, o.Environment)
		known = c.find(key)
	}
	if known == nil || !known.stands(&o) {
		c.mu.Lock()
		c.count++
		c.mu.Unlock()
		files := newSources(&o)
		p, _, err := compileWith(text, o, files, c)
		if err != nil {
			return nil, err
		}
		if files.mentionPseudonyms() {
			c.keep(keyOf(text, &o, ""), &shared{})
			key = keyOf(text, &o, o.Environment)
		}
		known = &shared{policy: p, files: files.files}
		c.keep(key, known)
	}
	return known.policy.forEnvironment(&o), nil
}

// Compilations returns how often a document was compiled so far.
func (c *Compiler) Compilations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// find returns what is known of a document, and keeps it.
func (c *Compiler) find(key [sha256.Size]byte) *shared {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.compiled[key]
	if known != nil {
		known.generation = c.generation
	}
	return known
}

func (c *Compiler) keep(key [sha256.Size]byte, s *shared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.compiled == nil {
		c.compiled = map[[sha256.Size]byte]*shared{}
	}
	s.generation = c.generation
	c.compiled[key] = s
}

// Forget drops the documents that nobody has asked for since it was last called.
func (c *Compiler) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.compiled, func(_ [sha256.Size]byte, s *shared) bool { return s.generation < c.generation })
	c.generation++
}

// keyOf identifies what a document is compiled from, but for the files that it
// names; env is "" for what environments share.
func keyOf(text []byte, o *Options, env playback.EnvironmentID) (key [sha256.Size]byte) {
	sum := sha256.New()
	add := func(parts ...string) {
		for _, part := range parts {
			sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			sum.Write([]byte(part))
		}
	}
	sum.Write(text)
	add(strconv.Itoa(len(text)), o.File, string(env), o.PseudonymKey.Reveal(), o.DefaultTTL.String(), o.MaxTTL.String(), o.Unknown)
	add(o.Issuers...)
	if o.Issuers == nil {
		add("not known")
	}
	sum.Sum(key[:0])
	return key
}

// mentionPseudonyms reports whether pseudonyms may be in a document, or in what it
// includes.
func (s *sources) mentionPseudonyms() bool {
	return slices.ContainsFunc(s.decoders, func(d *decoder) bool { return bytes.Contains(d.source, []byte(pseudonymFunction)) })
}

// stands reports whether the files that the document names are those that it was
// compiled with.
func (s *shared) stands(o *Options) bool {
	for _, file := range s.files {
		text, err := o.ReadFile(file.path)
		if err != nil || sha256.Sum256(text) != file.sum {
			return false
		}
	}
	return true
}

// language returns the language of a document: the one that documents share, if
// this one adds nothing to it.
func (c *Compiler) language(doc *document, files *sources, o *Options) (*language, error) {
	named := newConditions(doc.conditions)
	own := newPseudonyms(o.PseudonymKey, o.Environment)
	if c == nil || len(doc.conditions) > 0 || len(doc.sets) > 0 || files.mentionPseudonyms() {
		return newLanguage(own, named, files.sets(doc.sets))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plain == nil {
		made, err := newLanguage(nil, newConditions(nil), nil)
		if err != nil {
			return nil, err
		}
		c.plain = made
	}
	return &language{env: c.plain.env, pseudonyms: own, conditions: named, functions: c.plain.functions, bindings: c.plain.bindings}, nil
}

// forEnvironment returns the policy of an environment: what the document says is
// shared, what is counted and what it says of the environment is its own.
func (p *Policy) forEnvironment(o *Options) *Policy {
	own := *p
	own.environment = newEnvironment(o.Environment, o.Name)
	own.edition = new(edition)
	copies := make([]rule, len(p.deny)+len(p.allow))
	mine := func(list []*rule) []*rule {
		out := make([]*rule, len(list))
		for i, r := range list {
			copies[r.index] = *r
			copies[r.index].counts = nil
			out[i] = &copies[r.index]
		}
		return out
	}
	own.deny, own.allow, own.grantDenies = mine(p.deny), mine(p.allow), mine(p.grantDenies)
	o.Metrics.inherit(o.Environment, &own)
	return &own
}
