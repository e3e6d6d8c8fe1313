package policy

import (
	"errors"
	"fmt"
	"runtime"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/playgate/playgate/playback"
)

// cel-go counts what a call cost after it has run, and only where the checker
// finds no bound. Work is therefore counted a second time, before it is done and
// in every expression: each evaluation by the size of its syntax tree, each turn
// of a comprehension by the size of its body, and each call by its arguments
// (price.go). A unit is about one unit of CEL's cost, some 50 ns.
const (
	// maxWork bounds one evaluation. It is twice the limit of CEL's cost because
	// the size of a tree is a coarser measure.
	maxWork = 2 * maxCost
	// reportEvery is how much work is done between two looks at the request's
	// budget and deadline, about 0.2 ms.
	reportEvery = 4096
)

// limit names what ended an evaluation.
type limit uint8

const (
	limitExpression limit = iota // one evaluation cost too much (contract §5)
	limitRequest                 // all evaluations of the request together did
	limitDeadline                // the request's time is over
	limitCount
)

func (l limit) String() string {
	return [limitCount]string{limitExpression: "expression", limitRequest: "request", limitDeadline: "deadline"}[l]
}

// stoppedError says that an evaluation was stopped, not that it failed.
type stoppedError struct {
	limit limit
	cause error
}

func (e *stoppedError) Error() string { return "stopped: " + e.cause.Error() }

func (e *stoppedError) Unwrap() error { return e.cause }

// errExpressionWork is the cause where one evaluation costs too much.
var errExpressionWork = fmt.Errorf("its cost is more than %d", maxCost)

// stoppedBy returns which limit stopped an evaluation; false if none did.
func stoppedBy(err error) (limit, bool) {
	if stopped, ok := errors.AsType[*stoppedError](err); ok {
		return stopped.limit, true
	}
	return 0, false
}

// endsRequest reports whether no further rule can be evaluated for the request.
func endsRequest(err error) bool {
	if err == nil {
		return false
	}
	by, stopped := stoppedBy(err)
	return stopped && by != limitExpression
}

// meter counts the work of the evaluations for one question.
type meter struct {
	budget  *playback.RuleBudget // nil: only evaluations are bounded
	spent   uint64               // by the evaluation under way
	pending uint64               // not yet told to the budget
	stop    *stoppedError        // what stopped the evaluation under way
}

// begin begins an evaluation and notes its first work, which is far below what an
// evaluation may cost.
func (m *meter) begin(units uint64) error {
	m.spent, m.stop = units, nil
	m.pending += units
	if m.budget == nil || m.pending < reportEvery && m.budget.Err() == nil {
		return nil
	}
	if stop := m.report(); stop != nil {
		return stop
	}
	return nil
}

// add notes work of the evaluation under way. Not nil: it must not be done. Then
// all that the evaluation may cost counts as spent, because finding out what work
// costs is work, too.
func (m *meter) add(units uint64) *stoppedError {
	if left := maxWork - m.spent; units > left {
		m.spent = maxWork
		m.note(left)
		return &stoppedError{limitExpression, errExpressionWork}
	}
	m.spent += units
	if m.pending += units; m.pending < reportEvery {
		return nil
	}
	return m.report()
}

// note notes work that is no evaluation's, and that goes on to its end.
func (m *meter) note(units uint64) {
	if m.pending += units; m.pending >= reportEvery {
		_ = m.report() // the next evaluation finds the budget exhausted
	}
}

// report tells the budget what was not told yet, and lets other requests run: a
// goroutine that computes without a pause is interrupted after 10 ms only.
func (m *meter) report() *stoppedError {
	units := m.pending
	m.pending = 0
	runtime.Gosched()
	if m.budget == nil {
		return nil
	}
	return stopFor(m.budget.Spend(units))
}

// settle tells the budget what was not told yet, when a question is answered. It
// does not look at the time: most questions are answered before anybody has.
func (m *meter) settle() {
	if m.budget != nil && m.pending > 0 {
		m.budget.Note(m.pending)
	}
	m.pending = 0
}

// exhausted is the error with which every further evaluation ends; nil: none.
func (m *meter) exhausted() error {
	if m.budget == nil {
		return nil
	}
	if stop := stopFor(m.budget.Err()); stop != nil {
		return stop
	}
	return nil
}

func stopFor(err error) *stoppedError {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, playback.ErrRuleBudget):
		return &stoppedError{limitRequest, err}
	}
	return &stoppedError{limitDeadline, err}
}

// meterVariable is how the interpreter's steps reach the meter. No expression
// can: @ is in no identifier of CEL.
const meterVariable = "@meter"

// charge notes work of the evaluation that a frame belongs to, and ends it where
// it is too much: an error that is a value would be absorbed by || and &&.
// cel-go recovers this panic, as it does its own.
func charge(frame *interpreter.ExecutionFrame, units uint64) {
	value, _ := frame.ResolveName(meterVariable)
	m, ok := value.(*meter)
	if !ok {
		return // constants are folded without variables
	}
	if m.stop = m.add(units); m.stop != nil {
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: m.stop.Error()})
	}
}

// program is a planned expression.
type program struct {
	cel.Program

	size uint64 // nodes of its syntax tree: what an evaluation costs at least
}

// run evaluates a program. Every evaluation goes through here.
func (p *program) run(vars cel.Activation, m *meter) (ref.Val, error) {
	if err := m.begin(p.size); err != nil {
		return nil, err
	}
	out, _, err := p.Eval(vars)
	switch {
	case m.stop != nil:
		return nil, m.stop
	case err == nil:
		return out, nil
	}
	if cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err); ok {
		return nil, &stoppedError{limitExpression, cancelled}
	}
	return out, err
}

// runAlone evaluates an expression without any variable: reading one is an error.
func (p *program) runAlone() (ref.Val, error) {
	var m meter
	return p.run(&noVariables{&m}, &m)
}

// noVariables is an activation that has nothing but a meter.
type noVariables struct{ meter *meter }

// ResolveName knows the meter only.
func (n *noVariables) ResolveName(name string) (any, bool) { return n.meter, name == meterVariable }

// Parent returns nil.
func (*noVariables) Parent() cel.Activation { return nil }

// program plans a checked expression so that its work is counted.
func (l *language) program(checked *ast.AST, opts ...cel.ProgramOption) (*program, error) {
	counter := &workCounter{bindings: l.bindings, turns: turnsOf(checked.Expr())}
	opts = append(opts, cel.CustomDecoratorV2(foldNetworks), cel.CustomDecoratorV2(counter.decorate))
	planned, err := l.env.PlanProgram(checked, opts...)
	if err != nil {
		return nil, err
	}
	return &program{planned, nodesOf(checked.Expr())}, nil
}

// nodesOf counts the nodes of a tree that one evaluation may reach without
// turning in a comprehension.
func nodesOf(e ast.Expr) uint64 {
	n := uint64(1)
	for _, part := range children(e) {
		n += nodesOf(part)
	}
	return n
}

// turnsOf returns what one turn of each comprehension costs, by the IDs of its
// condition and its step, both of which are evaluated once in every turn. They
// share half of the nodes, because those that a macro adds cost next to nothing.
func turnsOf(e ast.Expr) map[int64]uint64 {
	turns := map[int64]uint64{}
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			loop := e.AsComprehension()
			turns[loop.LoopCondition().ID()] = nodesOf(loop.LoopCondition())/2 + 1
			turns[loop.LoopStep().ID()] = nodesOf(loop.LoopStep()) / 2
		}
	}))
	return turns
}
