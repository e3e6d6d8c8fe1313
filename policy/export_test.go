package policy

import (
	"cel.dev/cel-go/cel"

	"github.com/playgate/playgate/playback"
)

// DecideAnew is Decide without the verdicts that are kept on a viewer: every
// condition is evaluated.
func (p *Policy) DecideAnew(q *playback.Question) playback.Decision {
	return p.decide(q, scene{environment: p.environment, aside: true})
}

// Bare returns what cel-go takes for the same conditions by itself: the compiled
// programs, and an activation of its own that holds the values of the variables.
func (p *Policy) Bare(q *playback.Question) ([]cel.Program, cel.Activation) {
	a := &activation{constants: p.constants}
	a.ask(q, scene{environment: p.environment})
	values := map[string]any{}
	for _, name := range []string{"viewer", "request", "playback", "asset", "live_stream", "environment", "now"} {
		values[name], _ = a.ResolveName(name)
	}
	vars, err := cel.NewActivation(values)
	if err != nil {
		panic(err)
	}
	var programs []cel.Program
	for _, r := range p.deny {
		programs = append(programs, r.when.program.Program)
	}
	for _, r := range p.allow {
		programs = append(programs, r.when.program.Program)
	}
	return programs, vars
}

// MaxWork bounds one evaluation.
const MaxWork = maxWork
