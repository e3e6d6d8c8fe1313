package issuer

import "github.com/playgate/playgate/playback"

// desk is where one request is worked on. It is part of the Request, so that
// an answer from the cache, which nearly all are, costs no allocation here; the
// Answer is on it, too, and lives as long as the Request.
type desk struct {
	unknown  playback.Object
	trail    trail
	question playback.Question
	decision playback.Decision
	answer   Answer
	granted  [1]granted
	errands  [1]errand
	items    [1]Item
	wide     *wideDesk // nil: nobody asked for more than one type yet
}

// wideDesk is where more than one type is worked on. It is made when it is first
// needed, and Reset leaves it to the requests that follow.
type wideDesk struct {
	granted [playback.TokenTypes]granted
	errands [playback.TokenTypes]errand
	items   [playback.TokenTypes]Item
}

// Reset makes a request as good as new, with the memory that it has. Nobody may
// use its Answer any more.
func (r *Request) Reset() {
	wide := r.desk.wide
	if wide != nil {
		*wide = wideDesk{}
	}
	*r = Request{}
	r.desk.wide = wide
}

func (d *desk) widen() *wideDesk {
	if d.wide == nil {
		d.wide = new(wideDesk)
	}
	return d.wide
}

// forGranted returns room for what the rules give, empty.
func (d *desk) forGranted(req *Request) []granted {
	if !req.All && len(req.Types) <= len(d.granted) {
		return d.granted[:0]
	}
	return d.widen().granted[:0]
}

func (d *desk) forErrands(n int) []errand {
	if n <= len(d.errands) {
		return d.errands[:n]
	}
	return d.widen().errands[:n]
}

func (d *desk) forItems(n int) []Item {
	if n <= len(d.items) {
		return d.items[:0]
	}
	return d.widen().items[:0]
}

// answerOf begins the answer.
func (d *desk) answerOf(object *playback.Object, all []granted) *Answer {
	items := d.forItems(len(all))
	for n := range all {
		g := &all[n]
		items = append(items, Item{Type: g.kind, Rule: g.rule, Params: g.params, Restriction: g.grant.RestrictionID, Custom: g.custom})
	}
	d.answer = Answer{Object: object, Rule: all[0].rule, Items: items}
	return &d.answer
}
