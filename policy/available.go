package policy

import (
	"slices"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// maxBorders bounds how many moments are tried for one refusal.
const maxBorders = 16

// border is a moment that a rule compares now with. It may depend on the
// question: a release date in the asset's meta, a claim.
type border struct {
	program *program // what now, with the steps done to it, is compared with
	undo    []step   // the steps backwards
}

// step is one addition or subtraction beside now.
type step struct {
	program *program
	add     bool // to be undone by adding
}

// noteBorders finds the moments that rules compare now with.
func (p *Policy) noteBorders() {
	for _, r := range p.rules() {
		checked := r.when.ast.NativeRep()
		ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
			if e.Kind() != ast.CallKind {
				return
			}
			switch e.AsCall().FunctionName() {
			case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
				args := e.AsCall().Args()
				for i := range args {
					if b, ok := p.language.border(checked, args[i], args[1-i]); ok {
						p.borders, r.timed = append(p.borders, b), true
					}
				}
			}
		}))
	}
}

// border returns the moment at which an expression made of now, by additions
// and subtractions only, meets another one that does not read now.
func (l *language) border(checked *ast.AST, e, other ast.Expr) (border, bool) {
	if readsNow(other) || !readsNow(e) {
		return border{}, false
	}
	program, err := l.plan(checked, other)
	if err != nil {
		return border{}, false
	}
	b := border{program: program}
	for {
		if at, ok := placeOf(e); ok {
			return b, at.shape == nowPlace
		}
		if e.Kind() != ast.CallKind {
			return b, false
		}
		call := e.AsCall()
		name, args := call.FunctionName(), call.Args()
		if name != operators.Add && name != operators.Subtract || readsNow(args[1]) && name == operators.Subtract {
			return b, false
		}
		next, beside := args[0], args[1]
		if readsNow(beside) {
			next, beside = beside, next
		}
		program, err := l.plan(checked, beside)
		if err != nil || readsNow(beside) {
			return b, false
		}
		b.undo = append(b.undo, step{program, name == operators.Subtract})
		e = next
	}
}

// endsByTime reports whether time may turn a refusal over: the rule that denies
// compares now with something, or none denies and one that allows does.
func (p *Policy) endsByTime(d *playback.Decision) bool {
	for _, r := range p.deny {
		if r.id == d.Rule {
			return r.timed
		}
	}
	return slices.ContainsFunc(p.allow, func(r *rule) bool { return r.timed })
}

func readsNow(e ast.Expr) bool {
	return slices.ContainsFunc(placesOf(e), func(p place) bool { return p.shape == nowPlace })
}

// moment evaluates the border for a question.
func (b *border) moment(a *activation) (time.Time, bool) {
	v, ok := evaluate(b.program, a)
	for _, s := range b.undo {
		beside, known := evaluate(s.program, a)
		if !ok || !known {
			return time.Time{}, false
		}
		if s.add {
			v = plus(v, beside)
		} else {
			v = minus(v, beside)
		}
	}
	at, isTime := v.(types.Timestamp)
	return at.Time, ok && isTime
}

func evaluate(p *program, a *activation) (ref.Val, bool) {
	v, err := p.run(a, a.meter)
	return v, err == nil && v != nil && !types.IsUnknownOrError(v)
}

// AvailableFrom returns from when on a question that is refused now is allowed,
// if time alone is what it takes; false if nothing can be promised. The time is
// in whole seconds.
func (p *Policy) AvailableFrom(q *playback.Question) (time.Time, bool) {
	if len(p.borders) == 0 {
		return time.Time{}, false
	}
	w := &world{policy: p, question: *q, scene: scene{environment: p.environment, hurried: true}, meter: &meter{budget: q.Budget}}
	defer w.meter.settle()
	a := w.activation()
	var all []time.Time
	for i := range p.borders {
		if at, ok := p.borders[i].moment(a); ok && at.After(q.Now) {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	all = slices.CompactFunc(all, time.Time.Equal)
	for _, at := range all[:min(len(all), maxBorders)] {
		if at.Nanosecond() > 0 {
			at = at.Truncate(time.Second).Add(time.Second)
		}
		for _, t := range [...]time.Time{at, at.Add(time.Second)} {
			w.question.Now = t
			w.question.Grants = inForce(q.Grants, t)
			if q.Entitlements != nil {
				w.question.Entitlements = laterReader{q.Entitlements, t}
			}
			if w.ruling().allowed {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// inForce returns the rights that can still be used then. Of those that begin
// later nothing is known.
func inForce(held []playback.Held, at time.Time) []playback.Held {
	return slices.DeleteFunc(slices.Clone(held), func(h playback.Held) bool { return !h.InForce(at) })
}

// Dated returns a decision's refusal with from when on the answer is another
// one, where time alone is what it takes. It costs as much as many decisions.
func (p *Policy) Dated(q *playback.Question, d *playback.Decision) *playback.Error {
	if !p.endsByTime(d) {
		return d.Refusal
	}
	at, ok := p.AvailableFrom(q)
	if !ok {
		return d.Refusal
	}
	next := *d.Refusal
	next.AvailableFrom = at
	return &next
}
