package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// logical is the outcome of a condition.
type logical uint8

const (
	isFalse logical = iota
	isTrue
	isError // it cannot be evaluated
)

// formula is a condition taken apart at &&, ||, ! and ?: into its atoms, so that
// what the condition gives can be asked for all that its atoms can be.
type formula struct {
	operator string // "" an atom
	parts    []*formula
	atom     int
	value    logical // where the operator is literalValue
}

// literalValue is the operator of true and false.
const literalValue = "literal"

// atom is a part of a condition that is true or false by itself. Atoms of one text
// are one.
type atom struct {
	expr ast.Expr
	text string
}

// formulas takes conditions apart.
type formulas struct {
	language *language
	checked  *ast.AST
	atoms    []atom
}

func (f *formulas) parse(e ast.Expr) *formula {
	if value, ok := e.AsLiteral().(types.Bool); ok && e.Kind() == ast.LiteralKind {
		node := &formula{operator: literalValue}
		if value {
			node.value = isTrue
		}
		return node
	}
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
			node := &formula{operator: name}
			for _, arg := range call.Args() {
				node.parts = append(node.parts, f.parse(arg))
			}
			return node
		case operators.Equals, operators.NotEquals:
			if node := f.comparison(call); node != nil {
				return node
			}
		}
	}
	return &formula{atom: f.atomOf(e)}
}

// comparison reads playback.known == false as !playback.known; nil if it compares
// something else.
func (f *formulas) comparison(call ast.CallExpr) *formula {
	args := call.Args()
	for i, arg := range args {
		value, isLiteral := arg.AsLiteral().(types.Bool)
		other := args[1-i]
		if arg.Kind() != ast.LiteralKind || !isLiteral || f.checked.GetType(other.ID()).Kind() != types.BoolKind {
			continue
		}
		node := f.parse(other)
		if bool(value) == (call.FunctionName() == operators.NotEquals) {
			node = &formula{operator: operators.LogicalNot, parts: []*formula{node}}
		}
		return node
	}
	return nil
}

func (f *formulas) atomOf(e ast.Expr) int {
	text := f.text(e)
	if i := slices.IndexFunc(f.atoms, func(a atom) bool { return a.text == text && text != "" }); i >= 0 {
		return i
	}
	f.atoms = append(f.atoms, atom{e, text})
	return len(f.atoms) - 1
}

// text writes an expression as a rule has it, in one line; "" if it cannot be written.
func (f *formulas) text(e ast.Expr) string {
	text, err := cel.ExprToString(e, f.checked.SourceInfo())
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(text, "\n", " ")
}

// given is the outcome for the outcomes of the atoms, as CEL has it: && and || are
// decided by one side alone where they can be.
func (n *formula) given(atoms []logical) logical {
	switch n.operator {
	case literalValue:
		return n.value
	case operators.LogicalNot:
		switch n.parts[0].given(atoms) {
		case isFalse:
			return isTrue
		case isTrue:
			return isFalse
		case isError:
		}
		return isError
	case operators.Conditional:
		switch n.parts[0].given(atoms) {
		case isTrue:
			return n.parts[1].given(atoms)
		case isFalse:
			return n.parts[2].given(atoms)
		case isError:
		}
		return isError
	case operators.LogicalAnd:
		return n.joined(atoms, isFalse)
	case operators.LogicalOr:
		return n.joined(atoms, isTrue)
	}
	return atoms[n.atom]
}

// joined is && where false decides, || where true does.
func (n *formula) joined(atoms []logical, decides logical) logical {
	outcome := isTrue + isFalse - decides
	for _, part := range n.parts {
		if is := part.given(atoms); is == decides {
			return decides
		} else if is == isError {
			outcome = isError
		}
	}
	return outcome
}

// maxFree bounds the atoms of which every combination is tried.
const maxFree = 10

// combinations calls visit with every combination of false and true for the free
// atoms until it returns true, and reports whether it did.
func combinations(atoms []logical, free []int, visit func() bool) bool {
	if len(free) > maxFree {
		return false
	}
	for n := range 1 << len(free) {
		for i, at := range free {
			atoms[at] = logical(n >> i & 1)
		}
		if visit() {
			return true
		}
	}
	return false
}

// outcome evaluates an atom for a question by itself.
func (f *formulas) outcome(e ast.Expr, a *activation) (logical, error) {
	program, err := f.language.plan(f.checked, e)
	if err != nil {
		return isError, err
	}
	v, err := program.run(a, a.meter)
	switch {
	case err != nil:
		return isError, err
	case v == types.True:
		return isTrue, nil
	case v == types.False:
		return isFalse, nil
	}
	return isError, errNotBool
}

// variablesOf lists the variables of the language that an expression names. A
// loop's variable of the same name counts, too: that errs on the safe side.
func variablesOf(e ast.Expr) (names []string) {
	if e.Kind() == ast.IdentKind && isVariable(e.AsIdent()) {
		return []string{e.AsIdent()}
	}
	for _, part := range children(e) {
		for _, name := range variablesOf(part) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
