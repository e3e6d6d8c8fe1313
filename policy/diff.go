package policy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/playgate/playgate/playback"
)

const (
	maxRecord     = 1 << 20 // bytes of a line of the decision log
	diffBatch     = 256     // lines
	diffExamples  = 3       // of each way in which answers differ
	maxDiffGroups = 10_000  // values of one dimension that are told apart
)

// record is what a line of the decision log says that a diff needs.
type record struct {
	Environment playback.EnvironmentID `json:"environment"`
	Weight      int                    `json:"weight"`
	Unread      []string               `json:"unread"`
	Decision    string                 `json:"decision"`
	Rule        string                 `json:"rule"`
	Inputs      json.RawMessage        `json:"inputs"`
}

// Diff asks two documents about the decisions in a log, one JSON object a line,
// and reports what differs. It uses every processor, and ends with the context.
func Diff(ctx context.Context, before, after *Policy, log io.Reader, o DiffOptions) (*DiffReport, error) { //nolint:revive // four, and the context
	d := newDiffer(ctx, before, after, o)
	batches := make(chan batch)
	parts := make([]*diffPart, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range parts {
		parts[i] = newDiffPart()
		wg.Go(func() {
			for b := range batches {
				d.batch(parts[i], b)
			}
		})
	}
	err := readBatches(ctx, log, batches)
	close(batches)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	for _, p := range parts[1:] {
		parts[0].merge(p)
	}
	if parts[0].err != nil {
		return nil, parts[0].err
	}
	if parts[0].Bad > 0 && parts[0].good == 0 {
		return nil, errors.New("no line of it is a record of the decision log")
	}
	return d.report(parts[0]), nil
}

// batch is some lines, the first of which has a number.
type batch struct {
	first int
	lines [][]byte
}

func readBatches(ctx context.Context, log io.Reader, out chan<- batch) error {
	lines := bufio.NewScanner(log)
	lines.Buffer(make([]byte, 64<<10), maxRecord)
	b := batch{first: 1}
	for n := 1; lines.Scan(); n++ {
		b.lines = append(b.lines, bytes.Clone(lines.Bytes()))
		if len(b.lines) == diffBatch {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("at line %d: %w", n, err)
			}
			out <- b
			b = batch{first: n + 1}
		}
	}
	out <- b
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading decisions: %w", err)
	}
	return nil
}

type differ struct {
	ctx           context.Context //nolint:containedctx // of one run
	before, after *Policy
	options       DiffOptions
}

func newDiffer(ctx context.Context, before, after *Policy, o DiffOptions) *differ {
	o.PlanClaim = cmp.Or(o.PlanClaim, "plan")
	return &differ{ctx: ctx, before: before, after: after, options: o}
}

// ask asks one of the documents, whose rules have the budget of a request. The
// error says that the time is over.
func (d *differ) ask(p *Policy, q *playback.Question, s scene) (playback.Decision, error) {
	budget := playback.NewRuleBudget(d.ctx, playback.RequestRuleWork, nil)
	s.budget = &budget
	decision := p.decide(q, s)
	if err := budget.Err(); err != nil && !errors.Is(err, playback.ErrRuleBudget) {
		return decision, err
	}
	return decision, nil
}

// diffPart is what one worker found.
type diffPart struct {
	DiffReport

	groups  map[[2]string]*DiffGroup // by dimension and value
	changes map[string]int           // decisions by DecisionChange.group
	samples map[string]int           // examples by effect and deciders
	lacking map[string]int           // decisions by what the log does not have of them
	good    int                      // lines that are records
	err     error
}

func newDiffPart() *diffPart {
	return &diffPart{groups: map[[2]string]*DiffGroup{}, changes: map[string]int{}, samples: map[string]int{}, lacking: map[string]int{}}
}

func (d *differ) batch(p *diffPart, b batch) {
	for i, line := range b.lines {
		if p.err != nil {
			return
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := d.line(p, b.first+i, line); err != nil {
			p.err = fmt.Errorf("line %d: %w", b.first+i, err)
		}
	}
}

func (d *differ) line(p *diffPart, number int, line []byte) error {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		p.Bad++    // perhaps what a disk that was full left of one
		return nil //nolint:nilerr // it is counted
	}
	p.good++
	switch {
	case d.options.Environment != "" && r.Environment != d.options.Environment:
		return nil
	case len(r.Inputs) == 0 || string(r.Inputs) == "null":
		p.Skipped++
		return nil
	}
	var in playback.Inputs
	if err := json.Unmarshal(r.Inputs, &in); err != nil {
		return fmt.Errorf("inputs: %w", err)
	}
	q, err := in.Question()
	if err != nil {
		return fmt.Errorf("inputs: %w", err)
	}
	weight := max(1, r.Weight)
	p.Records++
	p.Decisions += weight
	if d.lacks(p, r.Unread, weight) {
		p.Unknown += weight
		return nil
	}
	if slices.Contains(r.Unread, playback.UnreadGrants) {
		q.Entitlements = unrecorded{}
	}
	was, err := d.ask(d.before, q, scene{environment: d.before.environment})
	if err != nil {
		return err
	}
	is, err := d.ask(d.after, q, scene{environment: d.after.environment})
	if err != nil {
		return err
	}
	if anyUndecided(&was, &is) {
		p.lacking[playback.UnreadGrants] += weight
		p.Unknown += weight
		return nil
	}
	if was.Rule != r.Rule || (was.Refusal == nil) != (r.Decision == "allow") {
		p.Otherwise += weight
	}
	d.compare(p, &difference{number, fmt.Sprintf("line %d", number), weight, r.Inputs, &in, was, is})
	return nil
}

// lacks reports whether a record lacks where the viewer was, which one of the
// documents reads, and counts that.
func (d *differ) lacks(p *diffPart, unread []string, weight int) bool {
	lacking := slices.Contains(unread, playback.UnreadPlace) && (d.before.readsPlace || d.after.readsPlace)
	if lacking {
		p.lacking[playback.UnreadPlace] += weight
	}
	return lacking
}

// unrecorded stands for the rights of a viewer that a record does not have: an
// answer that depends on them is unknown.
type unrecorded struct{}

var errUnrecorded = errors.New("the record does not have them")

func (unrecorded) ReadEntitlements(bool) ([]playback.Held, error) { return nil, errUnrecorded }

// difference is one record with both answers.
type difference struct {
	line    int
	where   string
	weight  int
	raw     json.RawMessage
	in      *playback.Inputs
	was, is playback.Decision
}

func (d *differ) compare(p *diffPart, x *difference) {
	var effect string
	var changes []DecisionChange
	switch was, is := x.was.Refusal == nil, x.is.Refusal == nil; {
	case !was && is:
		effect = "gained"
		p.Gained += x.weight
	case was && !is:
		effect = "lost"
		p.Lost += x.weight
	case !sameAnswer(&x.was, &x.is):
		effect = "changed"
		p.Changed += x.weight
		changes = changesOf(&x.was, &x.is)
		p.countChanges(changes, x.weight)
	case x.was.Rule != x.is.Rule:
		p.Moved += x.weight
		return
	default:
		return
	}
	decidedBefore, decidedAfter := decider(x.was), decider(x.is)
	key := effect + "\x00" + decidedBefore + "\x00" + decidedAfter
	if _, known := p.samples[key]; !known && len(p.samples) >= maxDiffGroups {
		key = "others"
	}
	if p.samples[key]++; p.samples[key] <= diffExamples {
		p.Examples = append(p.Examples, DiffExample{x.line, x.where, effect, decidedBefore, decidedAfter, changes, x.raw})
	}
	if effect == "changed" {
		return
	}
	count := func(by, value string) { p.count(by, value, effect, x.weight) }
	count("rule", decidedBefore+" → "+decidedAfter)
	count("country", cmp.Or(x.in.Request.Country, playback.UnknownCountry))
	plan := "none"
	if v := x.in.Viewer; v != nil && v.Claims[d.options.PlanClaim] != nil {
		plan = fmt.Sprint(v.Claims[d.options.PlanClaim])
	}
	count("plan", plan)
	asset := "none"
	if x.in.Asset != nil && x.in.Asset.ID != "" {
		asset = string(x.in.Asset.ID)
	}
	count("asset", asset)
}

// decider names what decided: a rule, with the code if it refused.
func decider(d playback.Decision) string {
	switch {
	case d.Refusal == nil:
		return d.Rule
	case d.Rule == "":
		return string(d.Refusal.Code)
	}
	return d.Rule + " (" + string(d.Refusal.Code) + ")"
}

func (p *diffPart) countChanges(changes []DecisionChange, weight int) {
	for _, c := range changes {
		what := c.group()
		if _, known := p.changes[what]; !known && len(p.changes) >= maxDiffGroups {
			what = "others"
		}
		p.changes[what] += weight
	}
}

func (p *diffPart) count(by, value, effect string, weight int) {
	g := p.groups[[2]string{by, value}]
	if g == nil {
		if len(p.groups) >= maxDiffGroups {
			value = "others"
		}
		if g = p.groups[[2]string{by, value}]; g == nil {
			g = &DiffGroup{By: by, Value: value}
			p.groups[[2]string{by, value}] = g
		}
	}
	if effect == "gained" {
		g.Gained += weight
	} else {
		g.Lost += weight
	}
}

func (p *diffPart) merge(other *diffPart) {
	p.Records += other.Records
	p.Decisions += other.Decisions
	p.Skipped += other.Skipped
	p.Bad += other.Bad
	p.good += other.good
	p.Unknown += other.Unknown
	for what, n := range other.lacking {
		p.lacking[what] += n
	}
	p.Otherwise += other.Otherwise
	p.Gained += other.Gained
	p.Lost += other.Lost
	p.Changed += other.Changed
	p.Moved += other.Moved
	for what, n := range other.changes {
		p.changes[what] += n
	}
	p.Examples = append(p.Examples, other.Examples...)
	p.err = errors.Join(p.err, other.err)
	for key, g := range other.groups {
		if mine := p.groups[key]; mine != nil {
			mine.Gained += g.Gained
			mine.Lost += g.Lost
		} else {
			p.groups[key] = g
		}
	}
}

// report puts what was found in order: the largest groups and the first lines
// first.
func (d *differ) report(p *diffPart) *DiffReport {
	r := &p.DiffReport
	r.Old, r.New = d.before.revision, d.after.revision
	for _, g := range p.groups {
		r.Groups = append(r.Groups, *g)
	}
	order := []string{"rule", "country", "plan", "asset"}
	slices.SortFunc(r.Groups, func(a, b DiffGroup) int {
		return cmp.Or(slices.Index(order, a.By)-slices.Index(order, b.By), b.Gained+b.Lost-a.Gained-a.Lost, cmp.Compare(a.Value, b.Value))
	})
	for what, n := range p.changes {
		r.Changes = append(r.Changes, DiffChange{what, n})
	}
	slices.SortFunc(r.Changes, func(a, b DiffChange) int { return cmp.Or(b.Decisions-a.Decisions, cmp.Compare(a.What, b.What)) })
	slices.SortFunc(r.Examples, func(a, b DiffExample) int { return a.Line - b.Line })
	kept, seen := r.Examples[:0], map[string]int{}
	for _, e := range r.Examples {
		key := e.Effect + "\x00" + e.Old + "\x00" + e.New
		if seen[key]++; seen[key] <= diffExamples {
			kept = append(kept, e)
		}
	}
	r.Examples = kept
	if !r.OfTests {
		r.Notes = append(d.before.untold(), d.after.untold()...)
	}
	for what, n := range p.lacking {
		r.Notes = append(r.Notes, fmt.Sprintf("%s did not read the viewer's %s, so it was not looked up", playback.Count(n, "decision cannot be told: its rules", "decisions cannot be told: their rules"), what))
	}
	slices.Sort(r.Notes)
	r.Notes = slices.Compact(r.Notes)
	return r
}

// untold names what rules read that a decision log does not have as it was.
func (p *Policy) untold() []string {
	var notes []string
	for _, r := range p.rules() {
		for _, at := range placesOf(r.when.ast.NativeRep().Expr()) {
			switch name := at.String(); name {
			case "request.referrer", "request.origin":
				notes = append(notes, fmt.Sprintf("rule %s reads %s, of which the log has no query and no fragment", r.id, name))
			case "viewer.id", "viewer.claims.sub":
				notes = append(notes, fmt.Sprintf("rule %s reads %s, of which the log has a pseudonym", r.id, name))
			}
		}
	}
	return notes
}
