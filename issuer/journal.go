package issuer

import (
	"cmp"
	"context"
	"errors"

	"github.com/playgate/playgate/playback"
)

// Journal keeps what was decided: *audit.Log. Neither call waits.
type Journal interface {
	// Wants reports whether a decision is to be kept.
	Wants(env playback.EnvironmentID, rule string, allowed bool) bool
	// Keep keeps a decision; the question is the caller's again afterwards.
	Keep(d *playback.Decided)
}

// trail is what the journal needs to know of a request that the rules were
// asked about. It stands on the desk, so that it costs nothing without one.
type trail struct {
	inquiry inquiry
	asked   bool
	kind    playback.TokenType // the first that was refused, else the first that was asked
	rule    string             // who decided that
	refused bool
}

// note notes the answer to one type.
func (t *trail) note(kind playback.TokenType, d *playback.Decision) {
	refused := d.Grant == nil
	if !t.asked || refused && !t.refused {
		t.kind, t.rule, t.refused = kind, d.Rule, refused
	}
	t.asked = true
}

// record keeps what became of a request: one decision for each token that was
// handed out, or one for the refusal. What was refused before the rules were
// asked was not decided.
func (i *Issuer) record(answer *Answer, req *Request, err error) {
	t := &req.desk.trail
	if !t.asked {
		return
	}
	if err != nil {
		i.keep(req, nil, &Item{Type: t.kind, Rule: t.rule}, codeOf(err))
		return
	}
	for n := range answer.Items {
		i.keep(req, answer, &answer.Items[n], "")
	}
}

// keep keeps the decision about one item, of which only the type and the rule
// count. answer is nil where nothing was handed out.
func (i *Issuer) keep(req *Request, answer *Answer, item *Item, code playback.Code) {
	q := &req.desk.trail.inquiry
	if !i.cfg.Journal.Wants(q.env.ID, item.Rule, code == "") {
		return
	}
	question := q.question(item.Type)
	question.Entitlements = nil // what was not read before is not read now
	d := playback.Decided{
		Environment: q.env.ID, RequestID: req.RequestID, Question: &question, Rule: item.Rule, Code: code, Revision: q.env.Revision,
		Started: q.now, Latency: i.cfg.Now().Sub(q.now),
	}
	d.Unread = unread(q)
	if answer != nil {
		d.Stale = answer.Stale
		if answer.Object.NeedsToken(item.Type) {
			d.Key, d.Exp, d.Bound = answer.Key, answer.Lifetime.Exp, string(answer.Bound)
		}
	}
	i.cfg.Journal.Keep(&d)
}

// unread names what was not looked up, because no rule came to it. Where a
// backend's viewer is, it says itself.
func unread(q *inquiry) []string {
	var names []string
	if !q.env.ReadsPlace && !q.req.Backend {
		names = append(names, playback.UnreadPlace)
	}
	if !q.rights.read {
		names = append(names, playback.UnreadGrants)
	}
	return names
}

func codeOf(err error) playback.Code {
	if refusal, ok := errors.AsType[*playback.Error](err); ok {
		return cmp.Or(refusal.Code, playback.CodeInternalError)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return playback.CodeSigningOverloaded
	}
	return playback.CodeInternalError
}
