package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// conditionVariable is the name under which rules use named conditions:
// condition.premium.
const conditionVariable = "condition"

const maxConditions = 200

var conditionName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]{0,63}\z`)

// conditionText is a named condition as it was written.
type conditionText struct {
	name string
	expressionText

	from *decoder
}

func (d *decoder) conditions(n node) []conditionText {
	var list []conditionText
	d.members(n, func(name string, value node) {
		if !conditionName.MatchString(name) {
			d.problem(value, "%.80q is no name for a condition: want letters, digits and _, at most 64, not starting with a digit", name)
			return
		}
		if source, ok := d.expression(value); ok {
			list = append(list, conditionText{name, expressionText{value, source}, d})
		}
	})
	if len(list) > maxConditions {
		d.problem(n, "has more than %d conditions", maxConditions)
	}
	return list
}

// conditions are a document's named conditions. A name stands for its text:
// where it is used, the text is put in its place, in parentheses, before the
// expression is compiled, so that costs, warnings and explanations see what is
// really asked.
type conditions struct {
	texts    map[string]*conditionText
	expanded map[string]string
	order    []string // of expanded: what a condition uses comes before it
	trail    []string // those being expanded
	broken   map[string]bool
	used     map[string]bool
}

func newConditions(list []conditionText) *conditions {
	c := &conditions{texts: map[string]*conditionText{}, expanded: map[string]string{}, broken: map[string]bool{}, used: map[string]bool{}}
	for i := range list {
		t := &list[i]
		if first, taken := c.texts[t.name]; taken {
			where := first.at.path
			if first.from.file != "" {
				where = first.from.file + ": " + where
			}
			t.from.problem(t.at, "%s has the name too", where)
			continue
		}
		c.texts[t.name] = t
	}
	return c
}

// fields are the conditions as the checker sees them.
func (c *conditions) fields() map[string]*types.FieldType {
	fields := make(map[string]*types.FieldType, len(c.texts))
	for name := range c.texts {
		fields[name] = &types.FieldType{
			Type:    types.BoolType,
			IsSet:   func(any) bool { return false },
			GetFrom: func(any) (any, error) { return nil, errors.New("a named condition is no value") },
		}
	}
	return fields
}

func (c *conditions) names() []string { return slices.Sorted(maps.Keys(c.texts)) }

// define compiles every condition by itself, those that others use first, so
// that what is wrong with it is reported where it stands, once, and also if no
// rule uses it.
func (l *language) define() {
	c := l.conditions
	for _, name := range c.names() {
		if _, err := l.text(name); err != nil && !errors.Is(err, errBroken) {
			c.texts[name].from.problem(c.texts[name].at, "%s", err)
			c.broken[name] = true
		}
	}
	for _, name := range c.order {
		t := c.texts[name]
		_, findings := l.condition(t.source)
		t.from.report(t.expressionText, findings)
		c.broken[name] = c.broken[name] || len(findings) > 0
	}
}

// errBroken says that a condition was found wrong where it is defined.
var errBroken = errors.New("a named condition that it uses is wrong")

// text returns a condition's text with the conditions that it uses in their
// places.
func (l *language) text(name string) (string, error) {
	c := l.conditions
	if c.broken[name] {
		return "", errBroken
	}
	if text, ok := c.expanded[name]; ok {
		return text, nil
	}
	if i := slices.Index(c.trail, name); i >= 0 {
		circle := slices.Clone(c.trail[i:])
		for _, member := range circle {
			c.broken[member] = true
		}
		return "", fmt.Errorf("goes in a circle: %s", strings.Join(append(circle, name), " → "))
	}
	c.trail = append(c.trail, name)
	defer func() { c.trail = c.trail[:len(c.trail)-1] }()
	text, err := l.expand(c.texts[name].source)
	if err != nil {
		return "", err
	}
	c.expanded[name] = text
	c.order = append(c.order, name)
	return text, nil
}

// expand puts the texts of named conditions in their places. Text that does not
// parse comes back as it is, for the compiler to complain of.
func (l *language) expand(source string) (string, error) {
	if !strings.Contains(source, conditionVariable) {
		return source, nil
	}
	parsed, issues := l.env.Parse(source)
	if issues.Err() != nil {
		return source, nil //nolint:nilerr // whoever compiles it reports it
	}
	runes, out, next := []rune(source), strings.Builder{}, 0
	for _, at := range uses(parsed) {
		name, end := nameAt(runes, at)
		if l.conditions.texts[name] == nil {
			continue // the checker knows of no such field
		}
		text, err := l.text(name)
		if err != nil {
			return "", err
		}
		l.conditions.used[name] = true
		out.WriteString(string(runes[next:at]))
		if strings.Contains(text, "//") {
			text += "\n" // a comment must not swallow the parenthesis
		}
		out.WriteString("(" + text + ")")
		next = end
		if out.Len() > 4*maxExpression {
			return "", fmt.Errorf("with the named conditions in their places it is longer than %d characters", maxExpression)
		}
	}
	out.WriteString(string(runes[next:]))
	return out.String(), nil
}

// uses returns where `condition` stands in a text, as offsets in characters,
// in their order. A macro may have made more than one of what stands once.
func uses(parsed *cel.Ast) []int {
	info := parsed.NativeRep().SourceInfo()
	seen := map[int]bool{}
	visit := ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == conditionVariable {
			if r, ok := info.GetOffsetRange(e.ID()); ok {
				seen[int(r.Start)] = true
			}
		}
	})
	ast.PreOrderVisit(parsed.NativeRep().Expr(), visit)
	for _, call := range info.MacroCalls() {
		ast.PreOrderVisit(call, visit)
	}
	return slices.Sorted(maps.Keys(seen))
}

var memberOf = regexp.MustCompile(`\A` + conditionVariable + `\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)`)

// nameAt returns the name behind `condition.` and where it ends.
func nameAt(runes []rune, at int) (name string, end int) {
	rest := string(runes[at:])
	m := memberOf.FindStringSubmatch(rest)
	if m == nil {
		return "", at
	}
	return m[1], at + len([]rune(m[0]))
}

// captures names a variable of the language that an expression uses as the name
// of a loop's variable: a named condition inside the loop would mean another
// thing.
func captures(checked *cel.Ast) (name string) {
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind {
			return
		}
		for _, v := range []string{e.AsComprehension().IterVar(), e.AsComprehension().IterVar2()} {
			if isVariable(v) {
				name = v
			}
		}
	}))
	return name
}

func isVariable(name string) bool {
	if name == "now" || name == conditionVariable {
		return true
	}
	return slices.ContainsFunc(shapes[:], func(s shape) bool { return s.name == name })
}
