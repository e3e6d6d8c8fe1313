package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
)

// texts are the texts that an expression can be, as far as its form tells.
type texts struct {
	any   bool     // there is no telling
	words []string // those that it can be, unless any
	// set is the closed set that the words come from, nil if they only stand in the
	// rule. change is what was done to the words of the set, nil: nothing.
	set    *wordSet
	change func(string) string
	// doubt says why a text cannot stand at a place that is open; nil: it can.
	doubt func(text string) string
	shown ast.Expr // what is compared, for messages
}

func anyText() texts { return texts{any: true} }

// or joins what two expressions can be.
func (t texts) or(other texts) texts {
	switch {
	case t.any || other.any, t.set != nil && other.set != nil && (t.set != other.set || t.change != nil || other.change != nil):
		return anyText()
	case t.set == nil:
		t, other = other, t
	}
	t.words = slices.Concat(t.words, other.words)
	return t
}

// changed returns what a function makes of the texts.
func (t texts) changed(change func(string) string) texts {
	if t.any {
		return anyText()
	}
	before := t.change
	t.change = func(text string) string {
		if before != nil {
			text = before(text)
		}
		return change(text)
	}
	t.words = slices.Clone(t.words)
	for i := range t.words {
		t.words[i] = change(t.words[i])
	}
	return t
}

// closed reports whether nothing but the words can come, and they are of a set.
func (t texts) closed() bool { return !t.any && t.set != nil }

// has reports whether the text can come.
func (t texts) has(text string) bool {
	return t.any || slices.Contains(t.words, text) || t.isReserved(text)
}

// isReserved reports whether the text is one that the set reserves.
func (t texts) isReserved(text string) bool {
	return t.closed() && t.set.reserved != nil && (t.change == nil && t.set.reserved(text) ||
		t.change != nil && t.set.reserved(strings.ToUpper(text)) && t.change(strings.ToUpper(text)) == text)
}

// all returns the words, and those that the set reserves.
func (t texts) all() []string {
	if !t.closed() || t.set.reserved == nil {
		return t.words
	}
	all := slices.Clone(t.words)
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			if !t.set.reserved(code) {
				continue
			}
			if t.change != nil {
				code = t.change(code)
			}
			all = append(all, code)
		}
	}
	return all
}

// didYouMean suggests what can come instead of a text that cannot.
func (t texts) didYouMean(text string) string {
	word, ok := t.set.suggest(text)
	if !ok {
		return ""
	}
	if t.change != nil {
		word = t.change(word)
	}
	return fmt.Sprintf("; did you mean %q?", word)
}

// leaf is a text that stands in a rule to be compared.
type leaf struct {
	at   int64 // the expression
	text string
}

// scope is what the variables of loops stand for. A variable of the language is
// hidden by one of the same name.
type scope struct {
	kinds  map[string]keyed
	texts  map[string]texts
	leaves map[string][]leaf
}

func newScope() scope {
	return scope{map[string]keyed{}, map[string]texts{}, map[string][]leaf{}}
}

func (s scope) hides(name string) bool {
	_, hidden := s.kinds[name]
	return hidden
}

// inside returns the scope of the body of a loop.
func (r *textReader) inside(c ast.ComprehensionExpr, s scope) scope {
	in := scope{maps.Clone(s.kinds), maps.Clone(s.texts), maps.Clone(s.leaves)}
	in.kinds[c.AccuVar()], in.texts[c.AccuVar()], in.leaves[c.AccuVar()] = noRecord, anyText(), nil
	if isEmptyList(c.IterRange()) { // optMap(): the variable is what the optional holds
		in.kinds[c.AccuVar()] = recordOfExpr(c.AccuInit(), s.kinds)
		in.texts[c.AccuVar()], in.leaves[c.AccuVar()] = r.texts(c.AccuInit(), s), r.leaves(c.AccuInit(), s)
	}
	in.kinds[c.IterVar()] = noRecord
	if recordOfExpr(c.IterRange(), s.kinds) == grantList {
		in.kinds[c.IterVar()] = grantRecord
	}
	in.texts[c.IterVar()], in.leaves[c.IterVar()] = r.members(c.IterRange(), s), r.memberLeaves(c.IterRange(), s)
	return in
}

func isEmptyList(e ast.Expr) bool { return e.Kind() == ast.ListKind && len(e.AsList().Elements()) == 0 }

// textReader finds out what texts expressions can be.
type textReader struct {
	language *language
	checked  *ast.AST
}

// texts returns what an expression can be.
func (r *textReader) texts(e ast.Expr, s scope) texts {
	t := anyText()
	switch e.Kind() {
	case ast.LiteralKind:
		if text, ok := literalText(e); ok {
			t = texts{words: []string{text}}
		}
	case ast.IdentKind:
		if s.hides(e.AsIdent()) {
			t = s.texts[e.AsIdent()]
		}
	case ast.SelectKind:
		if sel := e.AsSelect(); !sel.IsTestOnly() {
			t = r.member(sel.Operand(), sel.FieldName(), s)
		}
	case ast.ComprehensionKind:
		if c := e.AsComprehension(); isEmptyList(c.IterRange()) {
			t = r.texts(c.Result(), r.inside(c, s))
		}
	case ast.CallKind:
		t = r.call(e, s)
	default:
	}
	if t.shown == nil && (t.set != nil || t.doubt != nil) {
		t.shown = e
	}
	return t
}

// member returns what a member of something can be.
func (r *textReader) member(operand ast.Expr, name string, s scope) texts {
	switch of := recordOfExpr(operand, s.kinds); {
	case of == grantRecord && name == "type":
		return texts{words: grantTypeWords.words, set: grantTypeWords}
	case of == paramsRecord:
		return texts{any: true, doubt: paramDoubt(name)}
	case operand.Kind() != ast.IdentKind || s.hides(operand.AsIdent()):
		return anyText()
	}
	at, ok := memberOfExpr(operand, name)
	if !ok {
		return anyText()
	}
	if set := wordsAt(at.shape, at.field); set != nil {
		return texts{words: set.words, set: set}
	}
	return texts{any: true, doubt: r.language.doubtAt(at)}
}

func (r *textReader) call(e ast.Expr, s scope) texts {
	call := e.AsCall()
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.Conditional:
		return r.texts(args[1], s).or(r.texts(args[2], s))
	case operators.OptSelect, operators.Index, operators.OptIndex:
		if key, ok := literalText(args[1]); ok {
			return r.member(args[0], key, s)
		}
	case "orValue", "or":
		return r.orValue(call, s)
	case "value":
		return r.texts(call.Target(), s)
	case "dyn", "string", "optional.of", "optional.ofNonZeroValue":
		return r.texts(args[0], s)
	case "optional.none":
		return texts{}
	case "lowerAscii", "upperAscii", "trim":
		t := r.texts(call.Target(), s).changed(textFunctions[name])
		t.shown = nil
		return t
	case deviceFunction:
		return texts{words: deviceWords.words, set: deviceWords}
	}
	if text, ok := r.constant(e); ok {
		return texts{words: []string{text}}
	}
	return anyText()
}

// orValue joins what an optional holds and what stands for its absence. The latter
// is often a text that cannot come on purpose.
func (r *textReader) orValue(call ast.CallExpr, s scope) texts {
	t, other := r.texts(call.Target(), s), r.texts(call.Args()[0], s)
	if t.doubt != nil && !other.any {
		doubt := t.doubt
		t.doubt = func(text string) string {
			if slices.Contains(other.words, text) {
				return ""
			}
			return doubt(text)
		}
		return t
	}
	return t.or(other)
}

var textFunctions = map[string]func(string) string{ //nolint:gochecknoglobals // a constant table
	"lowerAscii": asciiLower, "upperAscii": asciiUpper, "trim": strings.TrimSpace,
}

func asciiLower(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, text)
}

func asciiUpper(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c - 'a' + 'A'
		}
		return c
	}, text)
}

// members returns what the members of a list can be, or the keys of a map.
func (r *textReader) members(e ast.Expr, s scope) texts {
	all := texts{}
	switch e.Kind() {
	case ast.ListKind:
		for _, member := range e.AsList().Elements() {
			all = all.or(r.texts(member, s))
		}
		return all
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			all = all.or(r.texts(entry.AsMapEntry().Key(), s))
		}
		return all
	case ast.CallKind:
		switch call := e.AsCall(); call.FunctionName() {
		case operators.Add:
			return r.members(call.Args()[0], s).or(r.members(call.Args()[1], s))
		case operators.Conditional:
			return r.members(call.Args()[1], s).or(r.members(call.Args()[2], s))
		case "dyn":
			return r.members(call.Args()[0], s)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		if made, ok := collected(c.LoopStep(), c.AccuVar()); ok && isEmptyList(c.AccuInit()) && !isEmptyList(c.IterRange()) {
			return r.texts(made, r.inside(c, s))
		}
	default:
	}
	if list, ok := r.constantList(e); ok {
		return texts{words: list}
	}
	return anyText()
}

// collected returns what each step of map() and filter() puts into their list.
func collected(step ast.Expr, accu string) (ast.Expr, bool) {
	if step.Kind() != ast.CallKind {
		return nil, false
	}
	args := step.AsCall().Args()
	switch step.AsCall().FunctionName() {
	case operators.Conditional:
		return collected(args[1], accu)
	case operators.Add:
		if args[0].Kind() == ast.IdentKind && args[0].AsIdent() == accu && args[1].Kind() == ast.ListKind && len(args[1].AsList().Elements()) == 1 {
			return args[1].AsList().Elements()[0], true
		}
	}
	return nil, false
}

// constant returns the value of an expression that reads nothing.
func (r *textReader) constant(e ast.Expr) (string, bool) {
	if r.checked.GetType(e.ID()).Kind() != types.StringKind || readsNames(e) {
		return "", false
	}
	program, err := r.language.plan(r.checked, e)
	if err != nil {
		return "", false
	}
	v, err := program.runAlone()
	text, ok := v.(types.String)
	return string(text), ok && err == nil
}

// constantList does the same for a list of texts.
func (r *textReader) constantList(e ast.Expr) (list []string, ok bool) {
	if r.checked.GetType(e.ID()).Kind() != types.ListKind || readsNames(e) {
		return nil, false
	}
	program, err := r.language.plan(r.checked, e)
	if err != nil {
		return nil, false
	}
	v, err := program.runAlone()
	lister, isList := v.(traits.Lister)
	if err != nil || !isList {
		return nil, false
	}
	for it := lister.Iterator(); it.HasNext() == types.True; {
		text, isText := it.Next().(types.String)
		if !isText {
			return nil, false
		}
		list = append(list, string(text))
	}
	return list, true
}

// readsNames reports whether an expression names any variable, its own loops'
// included.
func readsNames(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind || slices.ContainsFunc(children(e), readsNames)
}
