package policy

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// chargedEquality is == or !=, which most rules are made of.
type chargedEquality struct {
	call        interpreter.InterpretableCall
	left, right interpreter.InterpretableV2
	negated     bool
}

// ID implements interpreter.Interpretable.
func (e *chargedEquality) ID() int64 { return e.call.ID() }

// Eval implements interpreter.Interpretable.
func (e *chargedEquality) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, e.Exec)
}

// Exec implements interpreter.InterpretableV2.
func (e *chargedEquality) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	left := e.left.Exec(frame)
	if types.IsUnknownOrError(left) {
		return left
	}
	right := e.right.Exec(frame)
	if types.IsUnknownOrError(right) {
		return right
	}
	equal := e.equal(frame, left, right)
	out := types.Bool(equal != e.negated)
	if tracker := frame.CostTracker(); tracker != nil {
		tracker.EvalBinary(frame, e.ID(), e.call, left, right, out)
	}
	return out
}

func (*chargedEquality) equal(frame *interpreter.ExecutionFrame, left, right ref.Val) bool {
	if a, ok := left.(types.String); ok {
		if b, ok := right.(types.String); ok && len(a) < memoryUnit {
			return a == b
		}
	}
	if units := comparePrice(left, right); units > 0 {
		charge(frame, units)
	}
	return types.Equal(left, right) == types.True
}
