package policy

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// chargedMatch is matches(). Reading a text takes as many steps as the text has
// bytes, times the instructions of the regular expression.
type chargedMatch struct {
	call    interpreter.InterpretableCall
	text    interpreter.InterpretableV2
	pattern interpreter.InterpretableV2
	known   *expressionRegex // of a pattern that stands in the rule; nil: it is read
}

// expressionRegex is a compiled regular expression.
type expressionRegex struct {
	*regexp.Regexp

	size uint64 // instructions
}

func newChargedMatch(call interpreter.InterpretableCall) (interpreter.InterpretableV2, error) {
	args := call.Args()
	if len(args) != 2 {
		return call, nil
	}
	m := &chargedMatch{call: call, text: args[0], pattern: args[1]}
	if constant, ok := args[1].(interpreter.InterpretableConst); ok {
		pattern, isText := constant.Value().(types.String)
		if !isText {
			return call, nil
		}
		var err error
		if m.known, err = compileRegex(string(pattern)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// compileRegex compiles a regular expression that is not too large. How large it
// becomes is told from its syntax: compiling could take a thousand times as long
// as reading it.
func compileRegex(pattern string) (*expressionRegex, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if n := regexSize(parsed); n > 4*maxRegex {
		return nil, fmt.Errorf("regex program size %d exceeds limit of %d", n, maxRegex)
	}
	size, err := types.RegexProgramSize(pattern)
	if err != nil {
		return nil, err
	}
	if size > maxRegex {
		return nil, fmt.Errorf("regex program size %d exceeds limit of %d", size, maxRegex)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	return &expressionRegex{compiled, uint64(size)}, nil //nolint:gosec // not negative
}

// regexSize estimates the instructions of a regular expression, never at less than
// a quarter of what they are.
func regexSize(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += regexSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return min(n, 1<<30)
}

// ID implements interpreter.Interpretable.
func (m *chargedMatch) ID() int64 { return m.call.ID() }

// Eval implements interpreter.Interpretable.
func (m *chargedMatch) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, m.Exec)
}

// Exec implements interpreter.InterpretableV2.
func (m *chargedMatch) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	text, pattern := m.text.Exec(frame), m.pattern.Exec(frame)
	for _, v := range [...]ref.Val{text, pattern} {
		if types.IsUnknownOrError(v) {
			return v
		}
	}
	out := m.match(frame, text, pattern)
	if e, ok := out.(*types.Err); ok && e.NodeID() == 0 {
		out = types.LabelErrNode(m.ID(), e)
	}
	if tracker := frame.CostTracker(); tracker != nil {
		tracker.EvalBinary(frame, m.ID(), m.call, text, pattern, out)
	}
	return out
}

func (m *chargedMatch) match(frame *interpreter.ExecutionFrame, text, pattern ref.Val) ref.Val {
	s, isText := text.(types.String)
	p, isText2 := pattern.(types.String)
	if !isText || !isText2 {
		return types.NewErr("matches() takes texts")
	}
	re := m.known
	if re == nil {
		if len(p) > maxPattern {
			return types.NewErr("a regular expression of %d bytes: the limit is %d", len(p), maxPattern)
		}
		charge(frame, uint64(len(p))*patternUnits)
		var err error
		if re, err = compileRegex(string(p)); err != nil {
			return types.WrapErr(err)
		}
	}
	if units := times(uint64(len(s)), re.size) / regexUnit; units > 0 {
		charge(frame, units)
	}
	return types.Bool(re.MatchString(string(s)))
}
