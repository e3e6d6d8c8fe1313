package policy

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// workCounter puts steps that charge for their work, before they do it, in the
// place of cel-go's, while a program is planned.
type workCounter struct {
	bindings map[string]*functions.Overload
	turns    map[int64]uint64 // what a turn costs, by the ID of the loop's condition
}

func (w *workCounter) decorate(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	step, err := w.charged(i)
	if err != nil {
		return nil, err
	}
	if units, ok := w.turns[i.ID()]; ok {
		return &chargedTurn{step, units}, nil
	}
	return step, nil
}

func (w *workCounter) charged(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch i := i.(type) {
	case interpreter.InterpretableConstructor:
		if !slices.ContainsFunc(i.InitVals(), isComputed) {
			return i, nil // cel-go makes a constant of it
		}
		return &chargedConstructor{i}, nil
	case interpreter.InterpretableCall:
		p := priceOfCall(i)
		if p == priceFlat || !slices.ContainsFunc(i.Args(), isComputed) {
			return i, nil
		}
		return w.call(i, p)
	}
	return i, nil
}

func isComputed(i interpreter.InterpretableV2) bool {
	_, constant := i.(interpreter.InterpretableConst)
	return !constant
}

func (w *workCounter) call(i interpreter.InterpretableCall, p price) (interpreter.InterpretableV2, error) {
	args := i.Args()
	switch i.Function() {
	case operators.Equals, operators.NotEquals:
		return &chargedEquality{i, args[0], args[1], i.Function() == operators.NotEquals}, nil
	case overloads.Matches:
		return newChargedMatch(i)
	}
	if p == priceContained && !isComputed(args[1]) {
		// cel-go looks the argument up in a table of the constants.
		return &chargedLookup{i, []interpreter.InterpretableV2{&chargedText{args[0]}, args[1]}}, nil
	}
	if len(args) > maxArguments {
		return nil, fmt.Errorf("%s has more than %d arguments", i.Function(), maxArguments)
	}
	binding := w.bindings[i.OverloadID()]
	if binding == nil {
		binding = w.bindings[i.Function()]
	}
	return &chargedCall{i.ID(), i.Function(), i.OverloadID(), args, p, binding}, nil
}

// chargedTurn is the condition or the step of a comprehension.
type chargedTurn struct {
	interpreter.InterpretableV2

	units uint64
}

// Exec implements interpreter.InterpretableV2.
func (c *chargedTurn) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	charge(frame, c.units)
	v := c.InterpretableV2.Exec(frame)
	chargeProblem(frame, v)
	return v
}

// chargeProblem charges for the message of an error, which may hold a value in
// full: comprehensions go on after errors, which || and && may absorb.
func chargeProblem(frame *interpreter.ExecutionFrame, v ref.Val) {
	if e, ok := v.(*types.Err); ok {
		charge(frame, uint64(len(e.Error()))/textUnit)
	}
}

// Eval implements interpreter.Interpretable.
func (c *chargedTurn) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// chargedConstructor makes a list or a map. It charges for all that is in it, not
// for what is written: a value that holds another many times would otherwise be
// small to make and endless to read.
type chargedConstructor struct {
	interpreter.InterpretableConstructor
}

// Exec implements interpreter.InterpretableV2.
func (c *chargedConstructor) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := c.InterpretableConstructor.Exec(frame)
	if types.IsError(v) {
		chargeProblem(frame, v)
	} else {
		charge(frame, weigh(v, maxWork))
	}
	return v
}

// Eval implements interpreter.Interpretable.
func (c *chargedConstructor) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// chargedLookup is `x in [constants]`.
type chargedLookup struct {
	interpreter.InterpretableCall

	args []interpreter.InterpretableV2
}

// Args returns what is looked up, and the list.
func (c *chargedLookup) Args() []interpreter.InterpretableV2 { return c.args }

// chargedText is an argument that is hashed.
type chargedText struct{ interpreter.InterpretableV2 }

// Exec implements interpreter.InterpretableV2.
func (c *chargedText) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := c.InterpretableV2.Exec(frame)
	if units := textLength(v) / memoryUnit; units > 0 {
		charge(frame, units)
	}
	return v
}

// Eval implements interpreter.Interpretable.
func (c *chargedText) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// chargedCall calls a strict function. Variables are never unknown in part, so
// that arguments have no unknowns to be merged.
type chargedCall struct {
	id       int64
	function string
	overload string
	args     []interpreter.InterpretableV2
	price    price
	binding  *functions.Overload // nil: an operator that the interpreter has built in
}

// ID implements interpreter.Interpretable.
func (c *chargedCall) ID() int64 { return c.id }

// Function implements cost.Call.
func (c *chargedCall) Function() string { return c.function }

// OverloadID implements cost.Call.
func (c *chargedCall) OverloadID() string { return c.overload }

// Eval implements interpreter.Interpretable.
func (c *chargedCall) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

// Exec implements interpreter.InterpretableV2.
func (c *chargedCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	var args arguments
	for i, arg := range c.args {
		v := arg.Exec(frame)
		if types.IsUnknownOrError(v) {
			return v
		}
		args[i] = v
	}
	if units := c.price.of(&args); units > 0 {
		charge(frame, units)
	}
	out := c.call(&args)
	if e, ok := out.(*types.Err); ok && e.NodeID() == 0 {
		out = types.LabelErrNode(c.id, e)
	}
	c.track(frame, &args, out)
	return out
}

func (c *chargedCall) call(a *arguments) ref.Val {
	b := c.binding
	switch {
	case b == nil || b.OperandTrait != 0 && !a[0].Type().HasTrait(b.OperandTrait):
		if receiver, ok := a[0].(traits.Receiver); ok {
			return receiver.Receive(c.function, c.overload, slices.Clone(a[1:len(c.args)]))
		}
	case len(c.args) == 1 && b.Unary != nil:
		return b.Unary(a[0])
	case len(c.args) == 2 && b.Binary != nil:
		return b.Binary(a[0], a[1])
	case b.Function != nil:
		return b.Function(slices.Clone(a[:len(c.args)])...)
	}
	return types.NewErrWithNodeID(c.id, "no such overload: %s", c.function)
}

// track tells CEL's own count of the cost, where the checker found no bound.
func (c *chargedCall) track(frame *interpreter.ExecutionFrame, a *arguments, out ref.Val) {
	tracker := frame.CostTracker()
	if tracker == nil {
		return
	}
	switch len(c.args) {
	case 1:
		tracker.EvalUnary(frame, c.id, c, a[0], out)
	case 2:
		tracker.EvalBinary(frame, c.id, c, a[0], a[1], out)
	default:
		tracker.EvalVarArgs(frame, c.id, c, slices.Clone(a[:len(c.args)]), out)
	}
}
