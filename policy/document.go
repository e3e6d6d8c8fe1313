package policy

import (
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/playback"
)

// NoRules is the document of an environment that has none: it denies
// everything.
const NoRules = "version: 1\n"

const (
	maxRules      = 1000
	defaultReason = "denied"
)

var (
	ruleID = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\z`)
	reason = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,63}\z`)
)

// document is a document as it was written, its expressions not yet compiled.
type document struct {
	rules      []ruleText
	tests      []testCase
	includes   []includeText
	conditions []conditionText
	messages   []messageText
	sets       []setText
}

// ruleText is a rule as it was written.
type ruleText struct {
	at     node
	from   *decoder // reads the file that it stands in
	id     string
	deny   bool
	reason playback.Code
	when   expressionText
	grant  *playback.Grant
	custom []claimText
	until  expressionText // of the grant
}

// expressionText is CEL and where it stands.
type expressionText struct {
	at     node
	source string
}

// claimText is a custom claim as it was written.
type claimText struct {
	name string
	expressionText
}

// parse reads a document. What it returns is complete only if the decoder has
// no problems.
func parse(d *decoder, text []byte) document {
	var doc document
	root, ok := d.document(text)
	if !ok {
		return doc
	}
	var version, seenVersion bool
	d.fields(root, map[string]func(node){
		"version": func(n node) {
			seenVersion = true
			if version = n.Tag == "!!int" && n.Value == "1"; !version {
				d.problem(n, "want 1, the only version there is")
			}
		},
		"include":    func(n node) { doc.includes = d.includes(n) },
		"conditions": func(n node) { doc.conditions = d.conditions(n) },
		"messages":   func(n node) { doc.messages = d.messages(n) },
		"sets":       func(n node) { doc.sets = d.sets(n) },
		"rules":      func(n node) { doc.rules = d.rules(n) },
		"tests":      func(n node) { doc.tests = d.tests(n) },
	})
	if !seenVersion && len(d.problems) == 0 {
		d.problem(node{root.Node, "version"}, "is required; want 1")
	}
	return doc
}

func (d *decoder) rules(n node) []ruleText {
	var rules []ruleText
	first := make(map[string]string) // the path of the rule that has the ID
	d.items(n, func(item node) {
		r := d.rule(item)
		if path, taken := first[r.id]; taken && r.id != "" {
			d.problem(node{item.Node, item.path + ".id"}, "%s has the ID %q too", path, r.id)
		} else {
			first[r.id] = item.path
		}
		rules = append(rules, r)
	})
	if len(rules) > maxRules {
		d.problem(n, "there are more than %d rules", maxRules)
	}
	return rules
}

func (d *decoder) rule(n node) ruleText {
	r := ruleText{at: n, from: d}
	var effect string
	given := make(map[string]node)
	keep := func(name string, read func(node)) func(node) {
		return func(v node) {
			given[name] = v
			read(v)
		}
	}
	d.fields(n, map[string]func(node){
		"id":     keep("id", func(v node) { r.id = d.id(v) }),
		"effect": keep("effect", func(v node) { effect = d.effect(v) }),
		"when": keep("when", func(v node) {
			if source, ok := d.expression(v); ok {
				r.when = expressionText{v, source}
			}
		}),
		"reason": keep("reason", func(v node) { r.reason = d.reason(v) }),
		"grant":  keep("grant", func(v node) { d.grant(v, &r) }),
	})
	r.deny = effect == "deny"
	d.complete(&r, effect, given)
	return r
}

// complete checks what spans the members of a rule and fills in the defaults.
func (d *decoder) complete(r *ruleText, effect string, given map[string]node) {
	if r.at.Kind == yaml.MappingNode {
		for _, name := range []string{"id", "effect", "when"} {
			if _, ok := given[name]; !ok {
				d.problem(node{r.at.Node, join(r.at.path, name)}, "is required")
			}
		}
	}
	if v, ok := given["grant"]; ok && effect == "deny" {
		d.problem(v, "a deny rule grants nothing")
	}
	if v, ok := given["reason"]; ok && effect == "allow" {
		d.problem(v, "an allow rule has no reason to refuse")
	}
	if r.reason == "" {
		r.reason = defaultReason
	}
	if r.grant == nil {
		r.grant = defaultGrant()
	}
}

func (d *decoder) id(n node) string {
	id, ok := d.text(n)
	if ok && !ruleID.MatchString(id) {
		d.problem(n, "%.80q is not an ID: want letters, digits, - and _, at most 64, starting with a letter or digit", id)
	}
	return id
}

func (d *decoder) effect(n node) string {
	effect, ok := d.text(n)
	if ok && effect != "allow" && effect != "deny" {
		d.problem(n, "%.40q is no effect: want allow or deny%s", effect, didYouMean(effect, []string{"allow", "deny"}))
		return ""
	}
	return effect
}

// reason reads a deny rule's reason. It becomes the error's code, always with
// 403, so it must not look like a code that means something else.
func (d *decoder) reason(n node) playback.Code {
	text, ok := d.text(n)
	code := playback.Code(text)
	switch {
	case !ok:
	case !reason.MatchString(text):
		d.problem(n, "%.80q is not a reason: want lower-case letters, digits and _, at most 64, starting with a letter", text)
	case code == playback.CodePolicyError, meansElse(code):
		d.problem(n, "%s is the code of another error; choose another word", text)
	}
	return code
}

// meansElse reports whether the code is built in and not a 403.
func meansElse(code playback.Code) bool {
	i := slices.IndexFunc(playback.Codes(), func(c playback.CodeDoc) bool { return c.Code == code })
	return i >= 0 && playback.Codes()[i].Kind != playback.Forbidden || slices.Contains(laterCodes(), code)
}

// laterCodes are codes of contract §8 with another status than 403 that no
// built feature answers yet, and so are not in playback's table.
func laterCodes() []playback.Code {
	return []playback.Code{"dependency_unavailable", "key_in_use", "key_active"}
}
