package policy

import (
	"cmp"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

// Options is what a document's environment adds to it.
type Options struct {
	// Environment and Name are the variable `environment`, and the domain of
	// pseudonym().
	Environment playback.EnvironmentID
	Name        string
	// DefaultTTL and MaxTTL are token.default_ttl and token.max_ttl: what the
	// tests and warnings reckon with. 0 means their defaults, 15m and 24h.
	DefaultTTL time.Duration
	MaxTTL     time.Duration
	// PseudonymKey is the key of pseudonym(). Without one, a document that uses
	// pseudonym() does not compile.
	PseudonymKey playback.Secret
	// Unknown is catalog.unknown; "" is its default, signed.
	Unknown string
	// Issuers are the aliases of the environment's viewers; nil: not known.
	Issuers []string
	// Catalogue finds what the environment's catalogue has of a playback ID that is
	// given with nothing else to explain; nil: nothing.
	Catalogue func(playback.ID) (*playback.Object, bool)
	// Metrics is where the counts of the rules in force are, which go on; nil: they
	// begin anew.
	Metrics *Metrics
	// File is the path of the file that the document stands in: what it names is
	// relative to that. ReadFile reads what it names; nil: it may name nothing.
	File     string
	ReadFile func(path string) ([]byte, error)
	// Line returns the line of a member of the document in the file that it is a
	// part of; nil: the document is a file of its own. Columns are unknown then.
	Line func(path string) int
}

const (
	usualDefaultTTL = 15 * time.Minute
	usualMaxTTL     = 24 * time.Hour
)

// Policy is a compiled document. It is immutable and safe for concurrent use.
type Policy struct {
	deny        []*rule // in the order of the document
	allow       []*rule
	grantDenies []*rule // the deny rules that read viewer.grants
	readsGrants bool
	readsPlace  bool
	environment *object
	constants   *constants
	defaultTTL  time.Duration
	maxTTL      time.Duration
	refusals    refusals
	activations *sync.Pool
	borders     []border
	revision    string
	namesFiles  bool
	language    *language // compiles parts of conditions, to explain them
	edition     *edition
	unknown     string
	steady      bool      // of any rule
	nobody      []verdict // on a viewer of whom nothing is known
	unmatched   *counts   // of questions that no rule decides
	bare        *bareWarnings
}

// rule is a compiled rule.
type rule struct {
	id      string
	index   int // in the document
	path    string
	line    int // in its file
	deny    bool
	when    *expression
	steady  bool            // when reads only the viewer, see verdict
	refusal *playback.Error // deny rules: their reason
	grant   *playback.Grant
	custom  []claim
	timed   bool        // when compares now with something
	until   *expression // nil: what the rule gives does not end by itself
	counts  *counts
}

// claim is a compiled custom claim.
type claim struct {
	name  string
	value *expression
}

// refusals are the refusals that do not depend on a rule. Shared, never
// written.
type refusals struct {
	noMatch *playback.Error
	broken  *playback.Error
	unread  *playback.Error
	types   [playback.TokenTypes + 1]*playback.Error // the last is for what is no type
}

// Compile compiles a document. The error is Problems, with everything that is
// wrong with the document; then there is no policy, and whoever has an older
// one keeps it in force.
func Compile(text []byte, o Options) (*Policy, error) {
	p, _, err := compile(text, o)
	return p, err
}

func compile(text []byte, o Options) (*Policy, []testCase, error) {
	p, tests, err := compileWith(text, o, newSources(&o), nil)
	if err != nil {
		return nil, nil, err
	}
	o.Metrics.inherit(o.Environment, p)
	return p, tests, nil
}

// compileWith compiles a document without its counts. The compiler may have a
// language for it; nil: it gets one of its own.
func compileWith(text []byte, o Options, files *sources, c *Compiler) (*Policy, []testCase, error) {
	doc := files.load(text, o.File)
	lang, err := c.language(&doc, files, &o)
	if err != nil {
		return nil, nil, err
	}
	lang.issuers = o.Issuers
	lang.define()
	p := &Policy{
		environment: newEnvironment(o.Environment, o.Name),
		constants:   newConstants(),
		defaultTTL:  cmp.Or(o.DefaultTTL, usualDefaultTTL),
		maxTTL:      cmp.Or(o.MaxTTL, usualMaxTTL),
		refusals:    newRefusals(),
		edition:     new(edition),
		unknown:     o.Unknown,
		bare:        new(bareWarnings),
	}
	constants := p.constants
	p.activations = &sync.Pool{New: func() any { return &activation{constants: constants} }}
	for i := range doc.rules {
		r := lang.rule(&doc.rules[i])
		r.index = i
		if r.deny {
			p.deny = append(p.deny, r)
		} else {
			p.allow = append(p.allow, r)
		}
	}
	lang.checkSets(doc.sets)
	p.localize(doc.messages)
	if err := files.problems().err(); err != nil {
		return nil, nil, err
	}
	p.revision, p.namesFiles, p.language = files.revision(), files.asked, lang
	p.noteReads()
	p.noteBorders()
	p.judgeNobody()
	return p, doc.tests, nil
}

func newRefusals() refusals {
	r := refusals{
		noMatch: playback.Errorf(playback.CodeNoMatchingRule, "No rule allows this viewer to play this."),
		broken:  playback.Errorf(playback.CodePolicyError, "A rule could not be evaluated."),
		unread:  playback.Errorf(playback.CodeDependencyUnavailable, "What the viewer holds cannot be read now."),
	}
	for t := range playback.TokenTypes + 1 {
		r.types[t] = playback.Errorf(playback.CodeTypeNotGranted, "The rules do not grant tokens of type %s.", t)
	}
	return r
}

func (l *language) rule(text *ruleText) *rule {
	r := &rule{id: text.id, path: text.where(), line: text.at.Line, deny: text.deny, grant: text.grant}
	if r.deny {
		r.grant, r.refusal = nil, playback.Denied(text.reason)
	}
	compile := func(t expressionText, with func(string) (*expression, []finding)) *expression {
		if t.at.Node == nil {
			return nil // reported where it was read
		}
		e, findings := with(t.source)
		text.from.report(t, findings)
		return e
	}
	r.when = compile(text.when, l.condition)
	r.until = compile(text.until, l.moment)
	r.steady = r.when != nil && readsOnlyViewer(r.when.ast)
	for _, c := range text.custom {
		r.custom = append(r.custom, claim{c.name, compile(c.expressionText, l.claim)})
	}
	return r
}

// rules returns all rules in the order of the document.
func (p *Policy) rules() []*rule {
	all := make([]*rule, len(p.deny)+len(p.allow))
	for _, list := range [...][]*rule{p.deny, p.allow} {
		for _, r := range list {
			all[r.index] = r
		}
	}
	return all
}

// Revision identifies what the document says, with all files that it names: the
// first 12 hexadecimal digits of a SHA-256 over their contents. Two replicas
// that have the same revision decide the same.
func (p *Policy) Revision() string { return p.revision }

// Len returns the number of rules.
func (p *Policy) Len() int { return len(p.deny) + len(p.allow) }

// NamesFiles reports whether the document includes files or has sets in files.
func (p *Policy) NamesFiles() bool { return p.namesFiles }

// Empty reports whether there is no rule at all: everything is denied.
func (p *Policy) Empty() bool { return len(p.deny)+len(p.allow) == 0 }
