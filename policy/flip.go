package policy

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

const (
	maxTries   = 20_000 // rules that an explanation evaluates to find changes, beyond one of each
	maxChanges = 4      // of a flip
	maxFlips   = 20
	scanStep   = 15 * time.Minute // through the time, where conditions take it apart
	scanFor    = 8 * 24 * time.Hour
)

// option is a change to one place that does what is wanted: each of its values
// does, and the text says so.
type option struct {
	at     place
	values []ref.Val // nil member: absent
	text   string

	also    []assignment           // what comes with any of the values
	request *playback.GrantRequest // how the first of them is made so, of viewer.grants
}

// assign is the change to one of the option's values.
func (o *option) assign(v ref.Val) []assignment {
	return append(slices.Clip(o.also), assignment{o.at, v})
}

// search looks for the changes with which a question has another answer.
type search struct {
	world *world
	from  ruling
	all   *collector
	tries int
}

func newSearch(w *world, from ruling) *search {
	s := &search{world: w, from: from, all: newCollector(w.policy.language, w.activation(), w.rights)}
	for _, r := range w.policy.rules() {
		s.all.rule(r)
	}
	s.all.domain(place{shape: requestShape, field: requestType})
	return s
}

// rule collects what a rule compares.
func (c *collector) rule(r *rule) {
	c.condition(r.when.ast.NativeRep().Expr(), r.when.ast)
	if r.until != nil {
		until := r.until.ast.NativeRep().Expr()
		c.condition(until, r.until.ast)
		if now, ok := c.base.at(place{shape: nowPlace}); ok {
			c.reach(until, now, asBorder)
		}
	}
}

func (s *search) spent() bool { return s.tries >= maxTries || s.world.exhausted() }

func (w *world) exhausted() bool { return w.meter != nil && w.meter.exhausted() != nil }

// run returns the flips: those of one change, and for each allow rule that none
// of them leads to the fewest changes that do.
func (s *search) run() []playback.Flip {
	var flips []playback.Flip
	reached := map[string]bool{}
	for _, name := range s.all.order {
		d := s.all.domains[name]
		for _, o := range s.options(s.all, d, s.flips) {
			f := s.flip([]option{o})
			if !reached[f.Rule+"\x00"+f.Text] {
				reached[f.Rule+"\x00"+f.Text] = true
				flips = append(flips, f)
			}
			reached[f.Rule] = true
		}
	}
	if !s.from.allowed {
		for _, r := range s.world.policy.allow {
			if !reached[r.id] {
				flips = append(flips, s.towards(r)...)
			}
		}
	}
	slices.SortStableFunc(flips, func(a, b playback.Flip) int { return len(a.Changes) - len(b.Changes) })
	return flips[:min(len(flips), maxFlips)]
}

// flips reports whether the answer is another one in a world. A rule that cannot
// be evaluated there denies, too, but is no answer to why not.
func (s *search) flips(w *world) bool {
	s.tries += len(w.policy.deny) + len(w.policy.allow)
	v := w.ruling()
	if s.from.allowed && v.code == playback.CodeTypeNotGranted {
		return false // of what a rule does not grant, the document tells
	}
	return v.allowed != s.from.allowed && v.code != playback.CodePolicyError
}

// flip describes options that together change the answer; the first value of
// each was tried.
func (s *search) flip(options []option) playback.Flip {
	w := s.world
	var texts []string
	var f playback.Flip
	for _, o := range options {
		all := o.assign(o.values[0])
		w = w.with(all...)
		texts = append(texts, o.text)
		for _, a := range all {
			f.Changes = append(f.Changes, a.change())
		}
		last := &f.Changes[len(f.Changes)-1]
		last.Text, last.Request = o.text, o.request
	}
	v := w.ruling()
	f.Effect, f.Rule, f.Code = v.effect(), v.ruleID(), v.code
	f.Text = "denied"
	if v.allowed {
		f.Text = "allowed"
	}
	if i := slices.IndexFunc(options, func(o option) bool { return o.at.shape == nowPlace }); i >= 0 {
		f.Text += " " + texts[i]
		texts = slices.Delete(texts, i, i+1)
	}
	if len(texts) > 0 {
		f.Text += " if " + strings.Join(texts, " and ")
	}
	return f
}

// change describes an assignment.
func (a assignment) change() playback.Change {
	c := playback.Change{Variable: a.at.String(), Path: a.at.parts()}
	switch v := a.value.(type) {
	case nil:
		c.Remove = true
		return c
	case *rightList:
		c.Sample = asGiven(v.rights)
	default:
		if c.Remove = isNothing(a.at, v); !c.Remove {
			c.Sample, _, _ = toJSON(v)
		}
	}
	c.Text = oneOf(a.at, []ref.Val{a.value})
	return c
}

// towards returns the fewest changes with which one allow rule decides: its
// parts that do not hold are mended one by one, and so are the deny rules that
// stand before it.
func (s *search) towards(r *rule) []playback.Flip {
	var choices [][]option
	a := s.world.activation()
	for _, d := range s.world.policy.deny {
		if matches, err := d.when.holds(a); matches || err != nil {
			choices = append(choices, s.mend(d, func(w *world) bool {
				matches, err := d.when.holds(w.activation())
				return !matches && err == nil
			}))
		}
	}
	for _, part := range s.world.policy.language.parts(r.when) {
		if holds, err := part.holds(a); holds && err == nil {
			continue
		}
		choices = append(choices, s.mendPart(part))
	}
	if kind, _ := a.at(place{shape: requestShape, field: requestType}); !r.grants(kind) {
		o, ok := r.kinds()
		if !ok {
			return nil
		}
		o.also = s.comesWith(o.at)
		choices = append(choices, []option{o})
	}
	if len(choices) == 0 || len(choices) > maxChanges || slices.ContainsFunc(choices, func(c []option) bool { return len(c) == 0 }) {
		return nil
	}
	return s.combine(r, choices, nil)
}

// combine tries one option of each choice together until the rule decides.
func (s *search) combine(r *rule, choices [][]option, chosen []option) []playback.Flip {
	if len(choices) > 0 {
		for _, o := range choices[0] {
			if s.spent() || slices.ContainsFunc(chosen, func(c option) bool { return c.at.String() == o.at.String() }) {
				continue
			}
			if found := s.combine(r, choices[1:], append(slices.Clip(chosen), o)); found != nil {
				return found
			}
		}
		return nil
	}
	if chosen = s.agree(r, chosen); chosen == nil {
		return nil
	}
	return []playback.Flip{s.flip(chosen)}
}

// agree leaves of several options the values with which the rule decides: what
// mends one condition may break another. nil: none do.
func (s *search) agree(r *rule, options []option) []option {
	decides := func(values []ref.Val) bool {
		w := s.world
		for i, v := range values {
			w = w.with(options[i].assign(v)...)
		}
		s.tries += len(w.policy.deny) + len(w.policy.allow)
		v := w.ruling()
		return v.allowed && v.rule == r
	}
	values := make([]ref.Val, len(options))
	for i := range options {
		values[i] = options[i].values[0]
	}
	if !decides(values) && !s.replaceOne(options, values, decides) {
		return nil
	}
	agreed := slices.Clone(options)
	for i := range agreed {
		o := &agreed[i]
		if len(o.values) == 1 {
			continue
		}
		kept := []ref.Val{values[i]}
		for _, v := range o.values {
			others := slices.Clone(values)
			if others[i] = v; !equal(v, values[i]) && decides(others) {
				kept = append(kept, v)
			}
		}
		o.values, o.text = kept, oneOf(o.at, kept)
	}
	return agreed
}

// replaceOne tries the other values of one option at a time.
func (s *search) replaceOne(options []option, values []ref.Val, decides func([]ref.Val) bool) bool {
	for i := range options {
		first := values[i]
		for _, v := range options[i].values[1:] {
			if values[i] = v; !s.spent() && decides(values) {
				return true
			}
		}
		values[i] = first
	}
	return false
}

func (s *search) mend(r *rule, wanted func(*world) bool) []option {
	c := newCollector(s.world.policy.language, s.all.base, s.all.rights)
	c.rule(r)
	return s.allOptions(c, wanted)
}

func (s *search) mendPart(part *part) []option {
	c := newCollector(s.world.policy.language, s.all.base, s.all.rights)
	c.condition(part.expr, part.of)
	return s.allOptions(c, func(w *world) bool {
		holds, err := part.holds(w.activation())
		return holds && err == nil
	})
}

func (s *search) allOptions(c *collector, wanted func(*world) bool) []option {
	counted := func(w *world) bool {
		s.tries++
		return wanted(w)
	}
	var all []option
	for _, name := range c.order {
		all = append(all, s.options(c, c.domains[name], counted)...)
	}
	return all
}

func (r *rule) grants(kind ref.Val) bool {
	name, _ := kind.(types.String)
	t, ok := playback.ParseTokenType(string(name))
	return ok && r.grant.Gives(t)
}

// kinds is the option of asking for a type that a rule gives; false if it gives
// none.
func (r *rule) kinds() (o option, ok bool) {
	o = option{at: place{shape: requestShape, field: requestType}}
	for t := range playback.TokenTypes {
		if r.grant.Gives(t) {
			o.values = append(o.values, types.String(t.String()))
		}
	}
	if len(o.values) == 0 {
		return o, false
	}
	o.text = oneOf(o.at, o.values)
	return o, true
}
