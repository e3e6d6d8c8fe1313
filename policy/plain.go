package policy

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// describer puts what CEL finds wrong with a condition into plain words, with what
// to write instead where that can be told.
type describer struct {
	language *language
	source   string
	parsed   *ast.AST // nil where it does not parse
	nodes    map[int64]ast.Expr
	parents  map[int64]ast.Expr
}

// describe returns the findings of CEL's own issues.
func (l *language) describe(source string, issues *cel.Issues) []finding {
	d := &describer{language: l, source: source, nodes: map[int64]ast.Expr{}, parents: map[int64]ast.Expr{}}
	parsed, syntaxIssues := l.env.Parse(source)
	if syntaxIssues.Err() != nil {
		return d.syntax(syntaxIssues.Errors())
	}
	d.parsed = parsed.NativeRep()
	d.index(d.parsed.Expr())
	var findings []finding
	proposed := map[string]bool{}
	for _, e := range issues.Errors() {
		f := findingAt(e.Location, d.plain(e))
		_, write, proposes := strings.Cut(f.message, "; write ")
		if d.follows(e, issues.Errors()) || proposes && proposed[write] {
			continue // one change mends both
		}
		proposed[write] = true
		findings = append(findings, f)
	}
	return findings
}

func findingAt(at common.Location, message string) finding {
	f := finding{message: message}
	if at.Line() > 0 {
		f.line, f.column = at.Line(), at.Column()+1
	}
	return f
}

func (d *describer) index(e ast.Expr) {
	d.nodes[e.ID()] = e
	for _, part := range children(e) {
		d.parents[part.ID()] = e
		d.index(part)
	}
}

// follows reports whether an error only follows from another one: the variable of
// a loop that is none, since the loop's function is misspelt.
func (d *describer) follows(e *common.Error, all []*common.Error) bool {
	name, ok := undeclaredName(e.Message)
	if !ok {
		return false
	}
	for _, other := range all {
		call := d.nodes[other.ExprID]
		if _, isName := undeclaredName(other.Message); !isName || other == e || call == nil || call.Kind() != ast.CallKind || len(call.AsCall().Args()) == 0 {
			continue
		}
		if isLoop := len(call.AsCall().Args()) > 1; call.AsCall().IsMemberFunction() && beginsWith(call.AsCall().Args()[0], name, isLoop) {
			return true
		}
	}
	return false
}

// beginsWith reports whether an argument is the variable of a loop, or, where the loop
// has none, begins with it.
func beginsWith(first ast.Expr, name string, isLoop bool) bool {
	if isLoop {
		return first.Kind() == ast.IdentKind && first.AsIdent() == name
	}
	for first.Kind() == ast.CallKind && len(first.AsCall().Args()) > 0 {
		first = first.AsCall().Args()[0]
	}
	for first.Kind() == ast.SelectKind {
		first = first.AsSelect().Operand()
	}
	return first.Kind() == ast.IdentKind && first.AsIdent() == name
}

func undeclaredName(message string) (string, bool) {
	rest, ok := strings.CutPrefix(message, "undeclared reference to '")
	name, _, _ := strings.Cut(rest, "'")
	return name, ok
}

var (
	noOverload = regexp.MustCompile(`\Afound no matching overload for '([^']*)' applied to '(.*)'\z`)
	wrongType  = regexp.MustCompile(`\Aexpected type '(.*)' but found '(.*)'\z`)
	noFields   = regexp.MustCompile(`\Atype '(.*)' does not support field selection\z`)
	noRange    = regexp.MustCompile(`\Aexpression of type '(.*)' cannot be range of a comprehension`)
	nodeLimit  = regexp.MustCompile(`\Aexpression node count exceeds limit: count (\d+), limit (\d+)\z`)
	regexLimit = regexp.MustCompile(`\Aregex program size (\d+) exceeds limit of (\d+)\z`)
)

// plain words one error of the checker.
func (d *describer) plain(e *common.Error) string {
	at := d.nodes[e.ExprID]
	message, _, _ := strings.Cut(e.Message, " expecting {")
	if name, ok := undeclaredName(message); ok {
		return d.undeclared(name, at)
	}
	if name, ok := strings.CutPrefix(message, "undefined field '"); ok {
		return d.undefinedField(strings.TrimSuffix(name, "'"), at)
	}
	if m := noOverload.FindStringSubmatch(message); m != nil && at != nil {
		return d.overload(m[1], m[2], at)
	}
	if m := wrongType.FindStringSubmatch(message); m != nil && at != nil {
		return d.wrongType(m[1], m[2], at)
	}
	if m := noFields.FindStringSubmatch(message); m != nil && at != nil && at.Kind() == ast.SelectKind {
		return fmt.Sprintf("%s is %s, which has no field %s", d.text(at.AsSelect().Operand()), article(m[1]), at.AsSelect().FieldName())
	}
	if m := noRange.FindStringSubmatch(message); m != nil && at != nil {
		return fmt.Sprintf("%s is %s: only lists and maps can be walked through", d.text(at), article(m[1]))
	}
	if m := nodeLimit.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("has %s parts, the limit is %s: put long lists into sets, or make several rules of it", m[1], m[2])
	}
	if m := regexLimit.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("the regular expression has %s instructions, the limit is %s", m[1], m[2])
	}
	switch {
	case message == "comprehension exceeds nesting limit":
		return fmt.Sprintf("loops (exists, all, filter, map) within loops are more than %d deep", maxNesting)
	case strings.HasPrefix(message, "invalid ") && strings.Contains(message, " argument"):
		return d.argument(message, at)
	case strings.HasPrefix(message, "unsupported optional field selection"):
		return "only members of optionals and maps can be optional: " + message
	}
	return message
}

// text writes a part of the condition, shortened.
func (d *describer) text(e ast.Expr) string {
	text, err := cel.ExprToString(e, d.parsed.SourceInfo())
	if err != nil {
		return "this"
	}
	return shortened(strings.ReplaceAll(text, "\n", " "), maxRewrite)
}

// argument words an argument that a function cannot read.
func (d *describer) argument(message string, at ast.Expr) string {
	function, _, _ := strings.Cut(strings.TrimPrefix(message, "invalid "), " ")
	if at == nil {
		return message
	}
	written, _ := literalText(at)
	switch function {
	case "timestamp":
		return fmt.Sprintf("timestamp(%q) is no time: %s", written, timeMeant(written))
	case "duration":
		text := fmt.Sprintf("duration(%q) is no duration: its units are h, m, s and ms", written)
		if meant := durationMeant(written); meant != "" {
			text += fmt.Sprintf("; write duration(%q)", meant)
		}
		return text
	case "matches":
		_, err := syntax.Parse(written, syntax.Perl)
		return fmt.Sprintf("matches(%q): %s", written, strings.TrimPrefix(fmt.Sprint(err), "error parsing regexp: "))
	case "cidr":
		return fmt.Sprintf("cidr(%q) is no network: write cidr(\"203.0.113.0/24\")", written)
	case "ip":
		return fmt.Sprintf("ip(%q) is no address: write ip(\"203.0.113.9\")", written)
	}
	return message
}

// timeMeant says how a time is written.
func timeMeant(written string) string {
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00", "20060102", "2006/01/02"} {
		at, err := time.Parse(layout, strings.TrimSpace(written))
		if err != nil {
			continue
		}
		what := "it has no zone"
		if strings.Contains(layout, "Z07") {
			what = "it is not written as RFC 3339 has it"
		}
		return fmt.Sprintf("%s; write timestamp(%q), or localTime(%q, \"Europe/Berlin\")", what, at.UTC().Format(time.RFC3339), at.Format("2006-01-02T15:04"))
	}
	return `write timestamp("2027-01-01T00:00:00Z")`
}

var amount = regexp.MustCompile(`\A\s*([0-9]+)\s*([A-Za-z]+)\s*\z`)

// durationMeant writes days, weeks and words in CEL's units.
func durationMeant(written string) string {
	m := amount.FindStringSubmatch(written)
	if m == nil {
		return ""
	}
	var n int
	if _, err := fmt.Sscan(m[1], &n); err != nil || n > 1_000_000 {
		return ""
	}
	switch unit := strings.ToLower(m[2]); {
	case unit == "d", strings.HasPrefix(unit, "day"):
		return fmt.Sprintf("%dh", 24*n)
	case unit == "w", strings.HasPrefix(unit, "week"):
		return fmt.Sprintf("%dh", 7*24*n)
	case strings.HasPrefix(unit, "h"):
		return fmt.Sprintf("%dh", n)
	case strings.HasPrefix(unit, "min"):
		return fmt.Sprintf("%dm", n)
	case strings.HasPrefix(unit, "s"):
		return fmt.Sprintf("%ds", n)
	}
	return ""
}

// syntax words what does not parse.
func (d *describer) syntax(errors []*common.Error) []finding {
	fixed, found := repaired(d.source)
	if found {
		line, column := placeIn(d.source, fixed.first)
		if _, issues := d.language.env.Parse(fixed.text); issues.Err() == nil {
			return []finding{{line, column, fmt.Sprintf("write %s: %s", strings.Join(fixed.why, ", "), shortened(fixed.text, maxRewrite))}}
		}
	}
	if f, ok := d.unclosed(); ok {
		return []finding{f}
	}
	f := findingAt(errors[0].Location, plainSyntax(errors[0].Message))
	if all := tokens(d.source); f.message == endsTooEarly && len(all) > 0 {
		f.message += ", after " + all[len(all)-1].text
	}
	if found {
		f.message += "; write " + strings.Join(fixed.why, ", ")
	}
	return []finding{f}
}

// unclosed finds a quote or a bracket that has no counterpart.
func (d *describer) unclosed() (finding, bool) {
	at := func(t token, format string) (finding, bool) {
		line, column := placeIn(d.source, t.start)
		return finding{line, column, fmt.Sprintf(format, t.text)}, true
	}
	counterpart := map[string]string{")": "(", "]": "[", "}": "{"}
	var open []token
	for _, t := range tokens(d.source) {
		switch {
		case t.kind == openToken:
			return at(token{text: string([]rune(strings.TrimLeft(t.text, "rRbB"))[:1]), start: t.start}, "the text that begins here has no closing %s")
		case t.is("(") || t.is("[") || t.is("{"):
			open = append(open, t)
		case t.is("[?"):
			open = append(open, token{signToken, "[", t.start})
		case t.kind == signToken && counterpart[t.text] != "":
			if len(open) == 0 || open[len(open)-1].text != counterpart[t.text] {
				return at(t, "there is no opening bracket for this %s")
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return at(open[len(open)-1], "this %s is never closed")
	}
	return finding{}, false
}

var (
	unexpected   = regexp.MustCompile(`(?:mismatched|extraneous) input '(.*?)'(?: expecting.*)?\z`)
	unrecognized = regexp.MustCompile(`token recognition error at: '(.*)'\z`)
	missing      = regexp.MustCompile(`missing '?(.*?)'? at '(.*)'\z`)
	codePoints   = regexp.MustCompile(`code point size exceeds limit: size: (\d+), limit (\d+)`)
	recursion    = regexp.MustCompile(`recursion limit exceeded: (\d+)`)
	reservedWord = regexp.MustCompile(`reserved identifier: (.*)\z`)
)

const (
	endsTooEarly    = "ends where something is missing"
	invalidHas      = "invalid argument to has() macro"
	hasTakesAMember = `has() takes a member: has(viewer.claims.plan); where its name is no identifier, write "a name" in viewer.claims`
)

// plainSyntax words an error of the parser.
func plainSyntax(message string) string {
	if m := codePoints.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("is %s characters long, the limit is %s: put long lists into sets", m[1], m[2])
	}
	if m := recursion.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("is nested more than %s deep", m[1])
	}
	if m := reservedWord.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%s is a word that CEL keeps for itself; in quotes it is a text", m[1])
	}
	if m := unrecognized.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%q means nothing in CEL", strings.TrimSpace(m[1]))
	}
	if m := unexpected.FindStringSubmatch(message); m != nil {
		if m[1] == "<EOF>" {
			return endsTooEarly
		}
		return fmt.Sprintf("%s is not expected here: an operator such as &&, || or == is missing, or there is one too many", m[1])
	}
	if message == invalidHas {
		return hasTakesAMember
	}
	if m := missing.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%s is missing here", m[1])
	}
	return strings.TrimPrefix(message, "Syntax error: ")
}
