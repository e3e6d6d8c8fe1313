package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// Explainer says what would become of a request, without effects:
// *issuer.Issuer.
type Explainer interface {
	Explain(ctx context.Context, env *issuer.Environment, req *issuer.Request) (*issuer.Explanation, error)
}

// postExplain answers POST /v1/explain: a minting body, and why it would be
// answered as it would. It mints nothing.
func postExplain(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	if err := checkJSON(c); err != nil {
		return err
	}
	k, err := s.readExplained(c, x)
	if err != nil {
		return err
	}
	defer k.release()
	done, refusal := s.beginExplaining(x.Environment.ID)
	if refusal != nil {
		return refusal
	}
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), issueTimeout)
	defer cancel()
	explained, err := s.cfg.Explainer.Explain(ctx, mintingOf(x), &k.Request)
	if err != nil {
		return err
	}
	return sendExplanation(c, x, explanationOf(x, k.Viewer, explained))
}

// maxExplanation bounds the answer of POST /v1/explain, in bytes.
const maxExplanation = 1 << 20

// beginExplaining allows one explanation at a time in an environment: each takes
// as much of a processor as thousands of requests for tokens.
func (s *Server) beginExplaining(env playback.EnvironmentID) (done func(), refusal *playback.Error) {
	if _, busy := s.explaining.LoadOrStore(env, true); busy {
		return nil, playback.Errorf(playback.CodeRateLimited, "Another request of this environment is being explained: one at a time.").After(time.Second)
	}
	return func() { s.explaining.Delete(env) }, nil
}

// sendExplanation leaves out what is not needed to understand the answer where it
// would be too long: first the viewer's grants, then the rules.
func sendExplanation(c *fiber.Ctx, x *middleware.Exchange, e *explanation) error {
	shorten := [...]func(){
		func() { e.Grants, e.Idle = []heldJSON{}, []idleGrant{} },
		func() {
			for i := range e.Types {
				e.Types[i].Rules = nil
			}
		},
	}
	for i := 0; ; i++ {
		text, err := json.Marshal(map[string]any{"data": e})
		if err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
		if len(text) <= maxExplanation || i == len(shorten) {
			x.Buf = append(x.Buf[:0], text...)
			return send(c, x)
		}
		shorten[i]()
		e.Shortened = true
	}
}

// readExplained reads the body of POST /v1/explain.
func (s *Server) readExplained(c *fiber.Ctx, x *middleware.Exchange) (*call, error) {
	defer s.parse(x.Body)()
	sent, trailing, refusal := readJSON(x.Body)
	switch {
	case refusal != nil:
		return nil, refusal
	case trailing != nil:
		return nil, trailing
	}
	k, refusal := readOrder(c, x, &sent, "")
	if refusal != nil {
		return nil, refusal
	}
	return k, nil
}

// sendData sends {"data": …}, written the slow and easy way: these answers are
// for people.
func sendData(c *fiber.Ctx, x *middleware.Exchange, data any) error {
	text, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	x.Buf = append(x.Buf[:0], text...)
	return send(c, x)
}

// explanation is the answer of POST /v1/explain.
type explanation struct {
	Environment playback.EnvironmentID `json:"environment_id"`
	Effect      string                 `json:"effect"` // allow: the request would get tokens
	Status      int                    `json:"status"`
	Code        playback.Code          `json:"code,omitempty"`
	Message     string                 `json:"message,omitempty"`
	Cause       string                 `json:"cause,omitempty"` // what the viewer does not see
	Available   int64                  `json:"available_from,omitempty"`
	Revision    string                 `json:"policy_revision"`
	Now         int64                  `json:"now"`
	Catalogue   catalogueEntry         `json:"catalogue"`
	Grants      []heldJSON             `json:"grants"` // that the rules saw
	Idle        []idleGrant            `json:"grants_not_in_force"`
	Notes       []string               `json:"notes,omitempty"`
	Types       []explainedType        `json:"types"`
	Plan        *explainedPlan         `json:"plan"`
	// Shortened: the grants, or the rules of the types, were left out.
	Shortened bool `json:"shortened,omitempty"`
}

// idleGrant is a grant that the viewer holds, and why the rules did not see it.
type idleGrant struct {
	Grant heldJSON            `json:"grant"`
	Why   []playback.Obstacle `json:"why"`
}

type catalogueEntry struct {
	PlaybackID playback.ID                `json:"playback_id"`
	Policy     playback.Policy            `json:"policy"`
	Known      bool                       `json:"known"`
	Asset      *catalogueAsset            `json:"asset"`
	LiveStream *playback.LiveStreamInputs `json:"live_stream"`
	VideoID    playback.VideoID           `json:"video_id,omitempty"`
}

// catalogueAsset is an asset with its time as /v1 writes times.
type catalogueAsset struct {
	*playback.AssetInputs

	CreatedAt int64 `json:"created_at,omitempty"` // Unix seconds
}

type explainedType struct {
	Type   string                     `json:"type"`
	Rules  *playback.Explanation      `json:"rules"`
	Params map[string]json.RawMessage `json:"params"`
	Cache  string                     `json:"cache,omitempty"` // hit or miss
}

type explainedPlan struct {
	Key       playback.KeyID `json:"key_id"`
	ExpiresAt int64          `json:"expires_at"`
	ExpiresBy issuer.Bound   `json:"expires_by"` // the end that came first
	Least     int64          `json:"least_life"` // seconds that every answer lives, if nothing cuts it
	Cut       bool           `json:"cut"`        // no later exp can be had
	Degraded  bool           `json:"degraded,omitempty"`
}

func explanationOf(x *middleware.Exchange, viewer *playback.Viewer, e *issuer.Explanation) *explanation {
	in := playback.InputsOf(&playback.Question{Object: e.Object})
	out := &explanation{
		Environment: x.Environment.ID, Effect: "allow", Status: fiber.StatusOK, Revision: e.Revision, Now: e.Now.Unix(),
		Catalogue: catalogueEntry{e.Object.ID, e.Object.Policy, e.Object.Known, nil, in.LiveStream, e.Object.VideoID},
		Grants:    []heldJSON{}, Idle: []idleGrant{}, Types: []explainedType{},
	}
	if in.Asset != nil {
		out.Catalogue.Asset = &catalogueAsset{in.Asset, unixOrZero(e.Object.Asset.CreatedAt)}
	}
	for i := range e.Grants {
		out.Grants = append(out.Grants, heldOf(&e.Grants[i], viewer.Issuer, viewer.ID))
	}
	for i := range e.Idle {
		out.Idle = append(out.Idle, idleGrant{heldOf(&e.Idle[i].Held, viewer.Issuer, viewer.ID), e.Idle[i].Why})
	}
	if len(e.OtherIssuers) > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("this viewer holds grants under %s, which rules do not see for a viewer of %s", strings.Join(e.OtherIssuers, ", "), viewer.Issuer))
	}
	if r := e.Refusal; r != nil {
		out.Effect, out.Status, out.Code, out.Message, out.Available = "deny", Status(r.Kind), r.Code, r.Message, unixOrZero(r.AvailableFrom)
		if r.Err != nil {
			out.Cause = r.Err.Error()
		}
	}
	for _, t := range e.Types {
		item := explainedType{Type: t.Type.String(), Rules: t.Rules, Params: map[string]json.RawMessage{}}
		for _, p := range t.Params {
			item.Params[p.Name] = json.RawMessage(p.JSON)
		}
		if e.Plan != nil && e.Refusal == nil && t.Signed {
			item.Cache = "miss"
			if t.Cached {
				item.Cache = "hit"
			}
		}
		out.Types = append(out.Types, item)
	}
	if p := e.Plan; p != nil {
		out.Plan = &explainedPlan{p.Key, p.Lifetime.Exp, p.Bound, p.Lifetime.L, p.Lifetime.Cut, p.Stale}
	}
	return out
}

// unixOrZero writes a time as /v1 does, 0 for none.
func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
