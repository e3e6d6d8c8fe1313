package playback

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Inputs is a question as JSON: what the decision log keeps of one, so that it
// can be asked again. It reads like the `given` of a rule document's tests.
type Inputs struct {
	Viewer     *ViewerInputs     `json:"viewer,omitempty"`
	Playback   *IDInputs         `json:"playback,omitempty"`
	Asset      *AssetInputs      `json:"asset,omitempty"`
	LiveStream *LiveStreamInputs `json:"live_stream,omitempty"`
	Request    RequestInputs     `json:"request"`
	Now        time.Time         `json:"now"`
}

// ViewerInputs is the variable viewer.
type ViewerInputs struct {
	Issuer        string         `json:"issuer,omitempty"`
	ID            string         `json:"id,omitempty"`
	Authenticated bool           `json:"authenticated,omitempty"`
	Claims        map[string]any `json:"claims,omitempty"`
	Grants        []HeldInputs   `json:"grants,omitempty"`
}

// HeldInputs is one right of viewer.grants.
type HeldInputs struct {
	ID         string         `json:"id,omitempty"`
	Type       HeldType       `json:"type,omitempty"`
	Scope      map[string]any `json:"scope,omitempty"` // {asset_id: A1}, {all: true}
	From       *time.Time     `json:"from,omitempty"`
	Until      *time.Time     `json:"until,omitempty"`
	FirstPlay  *time.Time     `json:"first_play,omitempty"`
	PlayWithin int64          `json:"play_within,omitempty"` // seconds
	Attributes map[string]any `json:"attributes,omitempty"`
}

// IDInputs is the variable playback.
type IDInputs struct {
	ID     ID     `json:"id,omitempty"`
	Policy Policy `json:"policy,omitempty"`
	Known  bool   `json:"known,omitempty"`
}

// AssetInputs is the variable asset.
type AssetInputs struct {
	ID          AssetID        `json:"id,omitempty"`
	Duration    float64        `json:"duration,omitempty"`
	Status      string         `json:"status,omitempty"`
	Passthrough string         `json:"passthrough,omitempty"`
	Meta        map[string]any `json:"meta,omitempty"`
	CreatedAt   *time.Time     `json:"created_at,omitempty"`
	// LiveStreamID is no variable; it decides which rights are for the asset.
	LiveStreamID LiveStreamID `json:"live_stream_id,omitempty"`
}

// LiveStreamInputs is the variable live_stream.
type LiveStreamInputs struct {
	ID     LiveStreamID `json:"id,omitempty"`
	Status string       `json:"status,omitempty"`
}

// RequestInputs is the variable request.
type RequestInputs struct {
	Type      string                     `json:"type"`
	IP        string                     `json:"ip,omitempty"`
	Country   string                     `json:"country,omitempty"`
	Region    string                     `json:"region,omitempty"`
	ASN       int64                      `json:"asn,omitempty"`
	Referrer  string                     `json:"referrer,omitempty"`
	Origin    string                     `json:"origin,omitempty"`
	UserAgent string                     `json:"user_agent,omitempty"`
	SessionID SessionID                  `json:"session_id,omitempty"`
	Params    map[string]json.RawMessage `json:"params,omitempty"`
}

// InputsOf writes a question down. Maps are shared with it, not copied.
func InputsOf(q *Question) *Inputs {
	in := &Inputs{Now: q.Now.UTC(), Request: RequestInputs{Type: q.Type.String(), SessionID: q.SessionID}}
	if v := q.Viewer; v != nil {
		in.Viewer = &ViewerInputs{Issuer: v.Issuer, ID: v.ID, Authenticated: v.Authenticated, Claims: v.Claims}
		for i := range q.Grants {
			in.Viewer.Grants = append(in.Viewer.Grants, HeldInputsOf(&q.Grants[i]))
		}
	}
	if o := q.Object; o != nil {
		in.Playback = &IDInputs{ID: o.ID, Policy: o.Policy, Known: o.Known}
		if a := o.Asset; a != nil {
			in.Asset = &AssetInputs{a.ID, a.Duration, a.Status, a.Passthrough, a.Meta, optionalTime(a.CreatedAt), a.LiveStreamID}
		}
		if l := o.LiveStream; l != nil {
			in.LiveStream = &LiveStreamInputs{l.ID, l.Status}
		}
	}
	if c := q.Client; c != nil {
		r := &in.Request
		r.Country, r.Region, r.ASN = c.Country, c.Region, c.ASN
		r.Referrer, r.Origin, r.UserAgent = c.Referrer, c.Origin, c.UserAgent
		if c.IP.IsValid() {
			r.IP = c.IP.Unmap().WithZone("").String()
		}
	}
	for _, p := range q.Params {
		if in.Request.Params == nil {
			in.Request.Params = make(map[string]json.RawMessage, len(q.Params))
		}
		in.Request.Params[p.Name] = json.RawMessage(p.JSON)
	}
	return in
}

// HeldInputsOf writes a right down.
func HeldInputsOf(h *Held) HeldInputs {
	return HeldInputs{
		h.ID, h.Type, h.Scope.JSON(), optionalTime(h.From), optionalTime(h.Until), optionalTime(h.FirstPlay),
		int64(h.PlayWithin / time.Second), h.Attributes,
	}
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Question returns the question that was written down.
func (in *Inputs) Question() (*Question, error) {
	kind, ok := ParseTokenType(cmp.Or(in.Request.Type, Video.String()))
	if !ok {
		return nil, fmt.Errorf("request.type: %.40q is not a token type", in.Request.Type)
	}
	r := &in.Request
	q := &Question{Viewer: &Viewer{}, Object: &Object{}, Type: kind, SessionID: r.SessionID, Now: in.Now, Client: &Client{
		Country: r.Country, Region: r.Region, ASN: r.ASN, Referrer: r.Referrer, Origin: r.Origin, UserAgent: r.UserAgent,
	}}
	if r.IP != "" {
		ip, err := netip.ParseAddr(r.IP)
		if err != nil {
			return nil, fmt.Errorf("request.ip: %.60q is not an IP address", r.IP)
		}
		q.Client.IP = ip
	}
	if v := in.Viewer; v != nil {
		q.Viewer = &Viewer{Issuer: v.Issuer, ID: v.ID, Authenticated: v.Authenticated, Claims: v.Claims}
		for i := range v.Grants {
			q.Grants = append(q.Grants, v.Grants[i].held())
		}
	}
	if p := in.Playback; p != nil {
		q.Object.ID, q.Object.Policy, q.Object.Known = p.ID, p.Policy, p.Known
	}
	if a := in.Asset; a != nil {
		q.Object.Asset = &Asset{ID: a.ID, Duration: a.Duration, Status: a.Status, Passthrough: a.Passthrough, Meta: a.Meta, CreatedAt: timeOf(a.CreatedAt), LiveStreamID: a.LiveStreamID}
	}
	if l := in.LiveStream; l != nil {
		q.Object.LiveStream = &LiveStream{ID: l.ID, Status: l.Status}
	}
	return q, in.params(q)
}

func (in *Inputs) params(q *Question) error {
	for name, raw := range in.Request.Params {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return fmt.Errorf("request.params.%s: %w", name, err)
		}
		p, refusal := ParseParam(q.Type, name, value)
		if refusal != nil {
			return fmt.Errorf("request.params: %w", refusal)
		}
		q.Params = q.Params.With(p)
	}
	return nil
}

func (h *HeldInputs) held() Held {
	held := Held{
		ID: h.ID, Type: h.Type, From: timeOf(h.From), Until: timeOf(h.Until), FirstPlay: timeOf(h.FirstPlay),
		PlayWithin: time.Duration(h.PlayWithin) * time.Second, Attributes: h.Attributes,
	}
	for kind, value := range h.Scope {
		held.Scope.Kind = ScopeKind(kind)
		held.Scope.Value, _ = value.(string)
	}
	return held
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
