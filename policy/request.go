package policy

import (
	"cmp"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// request makes the members of the variable `request`, each when a rule first
// asks for it.
type request struct {
	question  *playback.Question
	constants *constants
}

func (r *request) make(i int) ref.Val {
	client := r.question.Client
	if client == nil {
		client = &r.constants.client
	}
	switch i {
	case requestType:
		if t := r.question.Type; t < playback.TokenTypes {
			return r.constants.types[t]
		}
		return types.String("")
	case requestIP:
		return address(client)
	case requestCountry:
		return country(client.Country)
	case requestRegion:
		return types.String(client.Region)
	case requestASN:
		return types.Int(client.ASN)
	case requestReferrer:
		return types.String(client.Referrer)
	case requestOrigin:
		return types.String(client.Origin)
	case requestUserAgent:
		return types.String(client.UserAgent)
	case requestSessionID:
		return types.String(r.question.SessionID)
	case requestParams:
		if len(r.question.Params) == 0 {
			return r.constants.noParams
		}
		return toParams(r.question.Params)
	}
	return types.NewErr("request has no field %d", i)
}

// address writes an IPv4 address as one even where a dual-stack socket saw it
// inside IPv6, else cidr("203.0.113.0/24") would not hold it.
func address(c *playback.Client) ref.Val {
	if !c.IP.IsValid() {
		return types.String("")
	}
	return types.String(c.IP.Unmap().WithZone("").String())
}

// countries are the values of all two-letter codes, so that a rule about the
// country, which most policies have, allocates nothing.
var countries = allCountries() //nolint:gochecknoglobals // a constant table

func allCountries() (table ['Z' - 'A' + 1]['Z' - 'A' + 1]ref.Val) {
	for i := range table {
		for j := range table[i] {
			table[i][j] = types.String([]byte{byte('A' + i), byte('A' + j)})
		}
	}
	return table
}

func country(code string) ref.Val {
	if code == "" {
		code = playback.UnknownCountry
	}
	if len(code) == 2 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z' {
		return countries[code[0]-'A'][code[1]-'A']
	}
	return types.String(code)
}

// activation answers CEL's questions for the value of a variable. It serves one
// question at a time and is reused through the policy's pool.
type activation struct {
	constants   *constants
	aside       bool // of the scene
	question    *playback.Question
	environment *object
	now         ref.Val
	rights      []playback.Held // those in force, as far as they are known
	held        []ref.Val       // viewer.grants, see grants
	entitled    *object         // the variable viewer where its grants are read when a rule asks
	hurried     bool            // what is read is not needed
	unread      error           // why the expression under way did not get viewer.grants
	guessed     bool            // it was told something all the same
	request     request
	requested   object // the variable request
	meter       *meter // counts what the evaluations cost
	own         meter  // the meter, unless several activations share one

	// What was made for this question; nil until a rule names it.
	viewer, playback, asset, liveStream *object
}

// kept is what a catalogue entry's Memo keeps.
type kept struct{ playback, asset, liveStream *object }

// scene is what a question does not say.
type scene struct {
	// aside: the question is not a request's, so it leaves nothing behind: errors
	// are not counted, and verdicts on the viewer are not kept, for which there is
	// the room of one document.
	aside       bool
	hurried     bool // nobody depends on the answer: what is read for it must not take long
	environment *object
	grants      []ref.Val            // of a test that gives grants; nil: made from the question
	budget      *playback.RuleBudget // nil: the question's
}

func (a *activation) ask(q *playback.Question, s scene) {
	a.question, a.environment, a.held, a.aside, a.hurried = q, s.environment, s.grants, s.aside, s.hurried
	if q.Entitlements == nil {
		a.rights = q.Grants
	}
	a.own = meter{budget: cmp.Or(s.budget, q.Budget)}
	a.meter = &a.own
	a.request = request{q, a.constants}
	a.requested = object{shape: &shapes[requestShape], source: a}
}

// forget drops every reference to the question before the activation goes back
// to the pool.
func (a *activation) forget() { *a = activation{constants: a.constants} }

// ResolveName returns a variable's value.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "viewer":
		if a.viewer == nil {
			a.viewer = a.viewerAsked()
		}
		return a.viewer, true
	case "request":
		return &a.requested, true
	case "playback":
		a.behind()
		if a.playback == nil { // of an ID that is in no catalogue: made only if a rule asks
			a.playback = newPlayback(a.question.Object)
		}
		return a.playback, true
	case "asset":
		a.behind()
		return a.asset, true
	case "live_stream":
		a.behind()
		return a.liveStream, true
	case "environment":
		return a.environment, true
	case meterVariable:
		return a.meter, true
	case "now":
		if a.now == nil {
			a.now = timestamp(a.question.Now)
		}
		return a.now, true
	}
	return nil, false
}

// Parent returns nil: there is nothing behind the variables.
func (a *activation) Parent() cel.Activation { return nil }

func (c *constants) viewerOf(v *playback.Viewer) *object {
	if isNobody(v) {
		return c.anonymous
	}
	return c.standingOf(v).viewer
}

func (c *constants) standingOf(v *playback.Viewer) *standing {
	if k, ok := v.Memo.Load().(*standing); ok {
		return k
	}
	k := &standing{viewer: newViewer(v)}
	v.Memo.Keep(k)
	return k
}

// behind makes playback, asset and live_stream, unless they are made; playback
// only where it is kept.
func (a *activation) behind() {
	if a.asset != nil {
		return
	}
	o := a.question.Object
	if o == nil || o.Memo == nil && o.Asset == nil && o.LiveStream == nil {
		a.asset, a.liveStream = a.constants.asset, a.constants.liveStream
		return
	}
	k, ok := o.Memo.Load().(*kept)
	if !ok {
		k = &kept{newPlayback(o), a.constants.asset, a.constants.liveStream}
		if o.Asset != nil {
			k.asset = newAsset(o.Asset)
		}
		if o.LiveStream != nil {
			k.liveStream = newLiveStream(o.LiveStream)
		}
		o.Memo.Keep(k)
	}
	a.playback, a.asset, a.liveStream = k.playback, k.asset, k.liveStream
}
