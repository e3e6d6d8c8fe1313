package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// GrantManager keeps what viewers hold: *grant.Holder. Its errors are
// *playback.Error (invalid_field for a grant that means nothing, not_found for
// one that is not there); any other is answered as an internal error.
type GrantManager interface {
	// Put stores a grant in place of the one of its ID; created: there was none.
	Put(ctx context.Context, e playback.Entitlement) (stored playback.Entitlement, created bool, err error)
	Get(ctx context.Context, env playback.EnvironmentID, id string) (playback.Entitlement, error)
	Delete(ctx context.Context, env playback.EnvironmentID, id string) error
	// List returns all grants of a viewer, by ID.
	List(ctx context.Context, env playback.EnvironmentID, issuer, viewer string) ([]playback.Entitlement, error)
}

// grantTimeout is how long a request about grants may take.
const grantTimeout = 5 * time.Second

func grantContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), grantTimeout)
}

// oneGrant answers GET, PUT and DELETE /v1/grants/{id}.
func oneGrant(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	id := strings.Clone(r.value(x, "id"))
	ctx, cancel := grantContext()
	defer cancel()
	switch c.Method() {
	case put:
		return s.putGrant(ctx, c, x, id)
	case del:
		if err := s.cfg.Grants.Delete(ctx, x.Environment.ID, id); err != nil {
			return err
		}
		c.Status(fiber.StatusNoContent)
		return nil
	}
	e, err := s.cfg.Grants.Get(ctx, x.Environment.ID, id)
	if err != nil {
		return err
	}
	return sendGrant(c, x, &e, fiber.StatusOK)
}

func (s *Server) putGrant(ctx context.Context, c *fiber.Ctx, x *middleware.Exchange, id string) error {
	if err := checkJSON(c); err != nil {
		return err
	}
	sent, trailing, refusal := readJSON(x.Body)
	switch {
	case refusal != nil:
		return refusal
	case trailing != nil:
		return trailing
	}
	e, refusal := readGrant(&sent)
	if refusal == nil {
		e.Issuer, refusal = aliasOf(x.Environment.Environment, e.Issuer, "viewer.issuer")
	}
	if refusal != nil {
		return refusal
	}
	if err := s.checkAnswered(ctx, x, &e, id); err != nil {
		return err
	}
	e.Environment, e.ID, e.FirstPlay = x.Environment.ID, id, time.Time{}
	stored, created, err := s.cfg.Grants.Put(ctx, e)
	if err != nil {
		return err
	}
	if created {
		return sendGrant(c, x, &stored, fiber.StatusCreated)
	}
	return sendGrant(c, x, &stored, fiber.StatusOK)
}

// checkAnswered checks what a body has of an answer to GET, which may be sent
// back as it is: it must be what it was.
func (s *Server) checkAnswered(ctx context.Context, x *middleware.Exchange, e *playback.Entitlement, id string) error {
	if e.ID != "" && e.ID != id {
		return fieldError("id", "is not the ID in the path")
	}
	if e.FirstPlay.IsZero() {
		return nil
	}
	kept, err := s.cfg.Grants.Get(ctx, x.Environment.ID, id)
	switch {
	case errors.Is(err, playback.CodeNotFound), err == nil && !kept.FirstPlay.Equal(e.FirstPlay):
		return fieldError("first_play", "is set by the first play: leave it out")
	}
	return err
}

// listGrants answers GET /v1/grants?viewer=…&issuer=….
func listGrants(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	var viewer, alias string
	q := middleware.Query{Rest: rawQuery(c)}
	for q.Next() {
		var into *string
		switch q.Name {
		case "viewer":
			into = &viewer
		case "issuer":
			into = &alias
		default:
			continue
		}
		switch {
		case *into != "":
			return repeated(q.Name)
		case q.Err != nil || !isIdentity(q.Value):
			return playback.Errorf(playback.CodeInvalidParam, "%s: want 1 to %d characters in percent-encoded UTF-8, none of control", q.Name, maxViewerID)
		}
		*into = strings.Clone(q.Value)
	}
	if viewer == "" {
		return playback.Errorf(playback.CodeInvalidParam, "viewer: want the ID of the viewer whose grants are meant")
	}
	ctx, cancel := grantContext()
	defer cancel()
	list, err := s.grantsUnder(ctx, x, alias, viewer)
	if err != nil {
		return err
	}
	b := x.Buf[:0]
	b = append(b, `{"data":[`...)
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendGrant(b, &list[i]); err != nil {
			return err
		}
	}
	b = append(b, "]}"...)
	x.Buf = b
	return send(c, x)
}

// grantsUnder lists a viewer's grants. Of an issuer that is no longer configured
// there may be some, which must be found to be moved; where there are none, the
// name is refused like everywhere else.
func (s *Server) grantsUnder(ctx context.Context, x *middleware.Exchange, name, viewer string) ([]playback.Entitlement, error) {
	alias, unknown := aliasOf(x.Environment.Environment, name, "issuer")
	switch {
	case unknown != nil && name == "":
		return nil, unknown
	case unknown != nil:
		alias = name
	}
	list, err := s.cfg.Grants.List(ctx, x.Environment.ID, alias, viewer)
	if err == nil && len(list) == 0 && unknown != nil {
		return nil, unknown
	}
	return list, err
}

// readGrant reads the body of a PUT. What the values mean is for the manager to
// check.
func readGrant(v *jsonValue) (e playback.Entitlement, err *playback.Error) {
	if v.kind != jsonObject {
		return e, fieldError("body", "want an object")
	}
	if err := checkNames(v, ""); err != nil {
		return e, err
	}
	for i := range v.children {
		m := &v.children[i]
		if m.value.kind == jsonNull && grantNames.has(m.name) {
			continue
		}
		if err := grantMember(&e, m); err != nil {
			return e, err
		}
	}
	switch {
	case e.Viewer == "":
		return e, fieldError("viewer.id", "is required")
	case e.Type == "":
		return e, fieldError("type", "is required")
	case e.Scope.Kind == "":
		return e, fieldError("scope", "is required")
	}
	return e, nil
}

func grantMember(e *playback.Entitlement, m *jsonMember) (err *playback.Error) {
	v := &m.value
	switch m.name {
	case "viewer":
		return grantViewer(e, v)
	case "type":
		var kind string
		kind, err = text(v, "type", maxName)
		e.Type = playback.HeldType(kind)
	case "scope":
		e.Scope, err = grantScope(v)
	case "from":
		e.From, err = readTime(v, "from")
	case "until":
		e.Until, err = readTime(v, "until")
	case "id":
		e.ID, err = text(v, "id", maxName)
	case "first_play":
		e.FirstPlay, err = readTime(v, m.name)
	case "created_at", "updated_at":
		_, err = readTime(v, m.name) // of an answer that is sent back
	case "play_within":
		if v.kind != jsonNumber && v.kind != jsonString {
			return fieldError("play_within", "want a number or a string")
		}
		d, problem := playback.ParseDuration(v.text)
		if problem != nil || d <= 0 {
			return fieldError("play_within", `want integer seconds or "48h", more than none`)
		}
		e.PlayWithin = d
	case "attributes":
		if v.kind != jsonObject {
			return fieldError("attributes", "want an object")
		}
		if e.Attributes, err = freeObject(v); err != nil {
			err.Message = under("attributes", err.Message)
		}
	default:
		return grantNames.unknown("", m.name)
	}
	return err
}

// grantViewer reads {issuer, id}.
func grantViewer(e *playback.Entitlement, v *jsonValue) (err *playback.Error) {
	if v.kind != jsonObject {
		return fieldError("viewer", "want an object")
	}
	for i := range v.children {
		m := &v.children[i]
		at := join("viewer", m.name)
		switch {
		case m.name == "issuer" && m.value.kind == jsonNull:
		case m.name == "issuer":
			e.Issuer, err = name(&m.value, at)
		case m.name == "id":
			e.Viewer, err = name(&m.value, at)
		default:
			err = ownerNames.unknown("viewer", m.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// grantScope reads {"asset_id": "A1"} and the like, {"all": true}, or "all".
func grantScope(v *jsonValue) (s playback.Scope, err *playback.Error) {
	if v.kind == jsonString && v.text == string(playback.ScopeAll) {
		return playback.Scope{Kind: playback.ScopeAll}, nil
	}
	if v.kind != jsonObject {
		return s, fieldError("scope", "want an object")
	}
	for i := range v.children {
		m := &v.children[i]
		at := join("scope", m.name)
		kind := playback.ScopeKind(m.name)
		switch {
		case !slices.Contains(playback.ScopeKinds(), kind):
			return s, scopeNames().unknown("scope", m.name)
		case m.value.kind == jsonNull:
			continue
		case s.Kind != "":
			return s, fieldError("scope", "want exactly one member")
		case kind == playback.ScopeAll && (m.value.kind != jsonBool || m.value.text != "true"):
			return s, fieldError(at, "want true")
		case kind != playback.ScopeAll:
			if s.Value, err = name(&m.value, at); err != nil {
				return s, err
			}
		}
		s.Kind = kind
	}
	return s, nil
}

// readTime reads a time, to the second: Unix seconds, or a text as in RFC 3339
// §5.6, which has a zone and may be in small letters.
func readTime(v *jsonValue, at string) (time.Time, *playback.Error) {
	var t time.Time
	var err error
	switch v.kind {
	case jsonNumber:
		var n int64
		n, err = strconv.ParseInt(v.text, 10, 64)
		t = time.Unix(n, 0)
	case jsonString:
		err = t.UnmarshalText([]byte(strings.ToUpper(v.text)))
	case jsonNull, jsonBool, jsonArray, jsonObject:
		err = errors.New("neither a number nor a text")
	}
	switch {
	case err != nil:
		return time.Time{}, fieldError(at, `want an integer of Unix seconds, or "2027-01-31T18:00:00Z" as in RFC 3339`)
	case t.Unix() < 0:
		return time.Time{}, fieldError(at, "is before 1970-01-01T00:00:00Z, where Unix time begins")
	}
	return time.Unix(t.Unix(), 0).UTC(), nil
}

func sendGrant(c *fiber.Ctx, x *middleware.Exchange, e *playback.Entitlement, status int) error {
	b, err := appendGrant(append(x.Buf[:0], `{"data":`...), e)
	if err != nil {
		return err
	}
	b = append(b, '}')
	x.Buf = b
	sendJSON(c, x)
	c.Status(status)
	return nil
}

// heldJSON is a grant as PUT takes it.
type heldJSON struct {
	ID         string            `json:"id"`
	Viewer     grantOwner        `json:"viewer"`
	Type       playback.HeldType `json:"type"`
	Scope      map[string]any    `json:"scope"`
	From       *int64            `json:"from"`
	Until      *int64            `json:"until"`
	PlayWithin *int64            `json:"play_within"`
	FirstPlay  *int64            `json:"first_play"`
	Attributes map[string]any    `json:"attributes"`
}

type grantOwner struct {
	Issuer string `json:"issuer"`
	ID     string `json:"id"`
}

// grantJSON is a grant as the API answers it.
type grantJSON struct {
	heldJSON

	CreatedAt *int64 `json:"created_at"`
	UpdatedAt *int64 `json:"updated_at"`
}

func heldOf(h *playback.Held, alias, viewer string) heldJSON {
	out := heldJSON{
		ID: h.ID, Viewer: grantOwner{alias, viewer}, Type: h.Type, Scope: h.Scope.JSON(),
		From: unix(h.From), Until: unix(h.Until), FirstPlay: unix(h.FirstPlay), Attributes: h.Attributes,
	}
	if h.PlayWithin > 0 {
		out.PlayWithin = new(int64(h.PlayWithin / time.Second))
	}
	if out.Attributes == nil {
		out.Attributes = map[string]any{}
	}
	return out
}

func appendGrant(b []byte, e *playback.Entitlement) ([]byte, error) {
	text, err := json.Marshal(grantJSON{heldOf(&e.Held, e.Issuer, e.Viewer), unix(e.CreatedAt), unix(e.UpdatedAt)})
	if err != nil {
		return b, fmt.Errorf("writing grant %s: %w", e.ID, err)
	}
	return append(b, text...), nil
}

func unix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.Unix())
}
