package policy

import (
	"fmt"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// cell is a border, or what lies between two of them (or beside the last), with
// one value to try it with.
type cell struct {
	probe     ref.Val
	low, high ref.Val // what it lies between; nil: nothing. Both are the border itself
	whole     bool    // it is a border
}

// ranges describes from where to where a number, a time, or a text in its order,
// will do. Between two borders conditions cannot tell values apart, so one of
// each part is tried.
func ranges(d *domain, works func(ref.Val) bool) []option {
	cells := cellsOf(d)
	var found []option
	for i := 0; i < len(cells); i++ {
		if !works(cells[i].probe) {
			continue
		}
		last := i
		for last+1 < len(cells) && works(cells[last+1].probe) {
			last++
		}
		run := cells[i : last+1]
		sample := run[0].probe
		if at := slices.IndexFunc(run, func(c cell) bool { return c.whole }); at >= 0 && !run[0].whole && run[0].low == nil {
			sample = run[at].probe // a border that will do says more than what lies below it
		}
		found = append(found, option{at: d.at, values: []ref.Val{sample}, text: rangeText(d.at, run)})
		i = last
	}
	return found
}

// rangeText writes what a run of parts holds.
func rangeText(at place, run []cell) string {
	first, last := run[0], run[len(run)-1]
	switch {
	case len(run) == 1 && first.whole:
		return fmt.Sprintf("%s = %s", at, text(first.probe))
	case first.low == nil && last.high == nil:
		return at.String() + " is set"
	}
	lower, upper := "<", "<"
	if first.whole {
		lower = "≤"
	}
	if last.whole {
		upper = "≤"
	}
	switch {
	case last.high == nil:
		return fmt.Sprintf("%s %s %s", at, map[string]string{"<": ">", "≤": "≥"}[lower], text(first.low))
	case first.low == nil:
		return fmt.Sprintf("%s %s %s", at, upper, text(last.high))
	}
	return fmt.Sprintf("%s %s %s %s %s", text(first.low), lower, at, upper, text(last.high))
}

// cellsOf takes the values of a place apart at everything that conditions
// compare it with.
func cellsOf(d *domain) []cell {
	kind := d.borders[0].Type()
	var points []ref.Val
	for _, v := range slices.Concat(d.borders, d.equal) {
		if v.Type() == kind && !contains(points, v) {
			points = append(points, v)
		}
	}
	slices.SortFunc(points, order)
	var cells []cell
	for i, p := range points {
		below, above := beside(p)
		if i == 0 && below != nil {
			cells = append(cells, cell{probe: below, high: p})
		}
		cells = append(cells, cell{probe: p, low: p, high: p, whole: true})
		switch {
		case above == nil:
		case i == len(points)-1:
			cells = append(cells, cell{probe: above, low: p})
		default:
			if v := between(p, points[i+1], above); v != nil {
				cells = append(cells, cell{probe: v, low: p, high: points[i+1]})
			}
		}
	}
	return cells
}

// order compares two values of one type; texts that are times by the time.
func order(a, b ref.Val) int {
	if x, y, ok := asTimes(a, b); ok {
		return x.Compare(y)
	}
	if c, ok := a.(traits.Comparer); ok {
		if n, isInt := c.Compare(b).(types.Int); isInt {
			return int(n)
		}
	}
	return 0
}

func asTimes(a, b ref.Val) (x, y time.Time, ok bool) {
	s, isText := a.(types.String)
	t, isText2 := b.(types.String)
	if !isText || !isText2 {
		return x, y, false
	}
	x, err := time.Parse(time.RFC3339, string(s))
	y, err2 := time.Parse(time.RFC3339, string(t))
	return x, y, err == nil && err2 == nil
}

// between returns a value between two others, the one above the lower if it is;
// nil if there is none.
func between(low, high, above ref.Val) ref.Val {
	if order(above, high) < 0 {
		return above
	}
	if a, ok := low.(types.Double); ok {
		if b, isDouble := high.(types.Double); isDouble && a < (a+b)/2 && (a+b)/2 < b {
			return (a + b) / 2
		}
	}
	return nil
}

// beside returns the values just below and above a border.
func beside(border ref.Val) (below, above ref.Val) {
	switch v := border.(type) {
	case types.Int:
		return v - 1, v + 1
	case types.Double:
		return v - 1, v + 1
	case types.Timestamp:
		return types.Timestamp{Time: v.Time.Add(-time.Second)}, types.Timestamp{Time: v.Time.Add(time.Second)}
	case types.String:
		if t, err := time.Parse(time.RFC3339, string(v)); err == nil { // a condition makes a timestamp of it
			return types.String(t.Add(-time.Second).Format(time.RFC3339)), types.String(t.Add(time.Second).Format(time.RFC3339))
		}
		return nil, v + "~"
	}
	return nil, nil
}
