package issuer

import "github.com/playgate/playgate/playback"

// desk is where one request is worked on. It is part of the Request, so that
// an answer from the cache, which nearly all are, costs no allocation here; the
// Answer is on it, too, and lives as long as the Request.
type desk struct {
	unknown  playback.Object
	trail    trail
	question playback.Question
	budget   playback.RuleBudget // of the rules
	decision playback.Decision
	answer   Answer
	granted  [1]granted
	errands  [1]errand
	items    [1]Item
	space    *Workspace // what was lent; nil: nothing
	spread   bool       // the space is in use
}

// Workspace is where more than one type is worked on: memory that one request
// after the other may use.
type Workspace struct {
	granted [playback.TokenTypes]granted
	errands [playback.TokenTypes]errand
	items   [playback.TokenTypes]Item
}

// Lend gives a request a workspace, nil if there is none. It makes its own when
// it needs one.
func (r *Request) Lend(w *Workspace) { r.desk.space = w }

// Workspace takes the request's workspace from it, empty; nil if it has none.
// Nobody may use the request's Answer any more.
func (r *Request) Workspace() *Workspace {
	w, used := r.desk.space, r.desk.spread
	r.desk.space = nil
	if used {
		*w = Workspace{}
	}
	return w
}

// spreadOut returns the workspace, which is in use from now on.
func (d *desk) spreadOut() *Workspace {
	if d.space == nil {
		d.space = new(Workspace)
	}
	d.spread = true
	return d.space
}

// forGranted returns room for what the rules give, empty.
func (d *desk) forGranted(req *Request) []granted {
	if !req.All && len(req.Types) <= len(d.granted) {
		return d.granted[:0]
	}
	return d.spreadOut().granted[:0]
}

func (d *desk) forErrands(n int) []errand {
	switch {
	case n <= len(d.errands):
		return d.errands[:n]
	case n <= int(playback.TokenTypes):
		return d.spreadOut().errands[:n]
	}
	return make([]errand, n) // a type was asked for twice
}

func (d *desk) forItems(n int) []Item {
	if n <= len(d.items) {
		return d.items[:0]
	}
	return d.spreadOut().items[:0]
}

// answerOf begins the answer.
func (d *desk) answerOf(object *playback.Object, all []granted) *Answer {
	items := d.forItems(len(all))
	for n := range all {
		g := &all[n]
		if !object.NeedsToken(g.kind) {
			items = append(items, Item{Type: g.kind, Rule: g.rule, Params: g.unforced()})
			continue
		}
		items = append(items, Item{Type: g.kind, Rule: g.rule, Params: g.params, Restriction: g.grant.RestrictionID, Custom: g.custom})
	}
	d.answer = Answer{Object: object, Rule: all[0].rule, Items: items}
	return &d.answer
}
