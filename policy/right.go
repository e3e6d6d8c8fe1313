package policy

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// rightList is a value for viewer.grants that an explanation tries: rights, of
// which a rule sees those that are in force for what is asked about.
type rightList struct {
	ref.Val // the rights as a list

	rights []givenGrant
}

func newRightList(rights []givenGrant) *rightList {
	return &rightList{listOf(grantValues(rights)), rights}
}

// asGiven writes rights as a test's given has them.
func asGiven(rights []givenGrant) []any {
	list := make([]any, len(rights))
	for i := range rights {
		list[i] = rights[i].asGiven()
	}
	return list
}

func (g *givenGrant) asGiven() map[string]any {
	m := map[string]any{}
	// What is made of a right can be written, and what was written read.
	if text, err := json.Marshal(playback.HeldInputsOf(&g.held)); err == nil {
		_ = json.Unmarshal(text, &m)
	}
	maps.Copy(m, g.extra)
	return m
}

// rightsOf are rights as the store has them.
func rightsOf(held []playback.Held) []givenGrant {
	rights := make([]givenGrant, len(held))
	for i := range held {
		rights[i].held = held[i]
	}
	return rights
}

// request returns how a backend writes the right, nil if none can be so.
func (g *givenGrant) request(q *playback.Question) *playback.GrantRequest {
	h := &g.held
	if len(g.extra) > 0 || h.ID == "" || h.Type == "" || strings.ContainsAny(h.ID, "/ ?#%") {
		return nil
	}
	body := &playback.GrantBody{
		Viewer: grantViewer(q), Type: h.Type, Scope: h.Scope.JSON(), PlayWithin: int64(h.PlayWithin / time.Second), Attributes: h.Attributes,
	}
	if !h.From.IsZero() {
		body.From = h.From.Unix()
	}
	if !h.Until.IsZero() {
		body.Until = h.Until.Unix()
	}
	return &playback.GrantRequest{Method: "PUT", Path: "/v1/grants/" + h.ID, Body: body}
}

func grantViewer(q *playback.Question) playback.GrantViewer {
	v := playback.GrantViewer{Issuer: "main", ID: exampleViewer}
	if q.Viewer != nil && q.Viewer.ID != "" {
		v.ID = q.Viewer.ID
	}
	if q.Viewer != nil && q.Viewer.Issuer != "" {
		v.Issuer = q.Viewer.Issuer
	}
	return v
}

// words writes what a right is, without whose and which it is.
func (g *givenGrant) words() string {
	m := g.asGiven()
	delete(m, "id")
	if written, err := canonicalJSON(m); err == nil {
		return written
	}
	return fmt.Sprint(m)
}

// wish is a member that a condition compares a right's with, and its value.
type wish map[string]ref.Val // by path, joined by zero bytes

// right makes a right of what conditions compare with; false if none can be so.
func (w wish) right(o *playback.Object) (g givenGrant, ok bool) {
	h := &g.held
	h.Type, h.Scope = playback.HeldSubscription, playback.ScopeOf(o)
	scoped := false
	for path, v := range w {
		name, below, _ := strings.Cut(path, "\x00")
		switch name {
		case "id", "type":
			text, isText := v.(types.String)
			if !isText || text == "" {
				return g, false
			}
			if name == "id" {
				h.ID = string(text)
			} else if h.Type = playback.HeldType(text); !slices.Contains(playback.HeldTypes(), h.Type) {
				return g, false
			}
		case "scope":
			if scoped || !setScope(&h.Scope, playback.ScopeKind(below), v) {
				return g, false
			}
			scoped = true
		case "from", "until", "first_play":
			at, isTime := v.(types.Timestamp)
			if !isTime {
				return g, false
			}
			*map[string]*time.Time{"from": &h.From, "until": &h.Until, "first_play": &h.FirstPlay}[name] = at.Truncate(time.Second)
		case "play_within":
			d, isDuration := v.(types.Duration)
			if !isDuration || d.Duration < time.Second {
				return g, false
			}
			h.PlayWithin = d.Truncate(time.Second)
		case "attributes":
			if h.Attributes, ok = withMember(h.Attributes, below, v); !ok {
				return g, false
			}
		default:
			if g.extra, ok = withMember(g.extra, path, v); !ok {
				return g, false
			}
		}
	}
	if h.ID == "" {
		h.ID = newID(&g)
	}
	return g, h.From.IsZero() || h.Until.IsZero() || h.From.Before(h.Until)
}

func setScope(s *playback.Scope, kind playback.ScopeKind, v ref.Val) bool {
	if kind == playback.ScopeAll {
		*s = playback.Scope{Kind: kind}
		return v == types.True
	}
	text, isText := v.(types.String)
	*s = playback.Scope{Kind: kind, Value: string(text)}
	return isText && text != "" && slices.Contains(playback.ScopeKinds(), kind)
}

// withMember returns the map with a member at a path.
func withMember(m map[string]any, path string, v ref.Val) (map[string]any, bool) {
	old := emptyMap()
	if m != nil {
		old = toMap(m)
	}
	if path == "" {
		old = v
	} else {
		old = putMember(old, strings.Split(path, "\x00"), v)
	}
	out, known, err := toJSON(old)
	next, isMap := out.(map[string]any)
	return next, err == nil && known && isMap
}

// newID names a right that nobody has yet, the same one for the same right.
func newID(g *givenGrant) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(g.words()))
	return fmt.Sprintf("new-%x", h.Sum64()&math.MaxUint32)
}
