package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// checkJSON refuses a body that is not said to be plain JSON.
func checkJSON(c *fiber.Ctx) error {
	kind, _, _ := strings.Cut(string(c.Request().Header.ContentType()), ";")
	encoding := c.Get(fiber.HeaderContentEncoding)
	if !strings.EqualFold(strings.TrimSpace(kind), fiber.MIMEApplicationJSON) || encoding != "" && !strings.EqualFold(encoding, "identity") {
		return playback.Errorf(playback.CodeUnsupportedMediaType, "Send the body as application/json, without an encoding.").
			Because(fmt.Errorf("Content-Type is %.80q, Content-Encoding %.40q", c.Request().Header.ContentType(), encoding))
	}
	return nil
}

// readOptional reads a body that may be left out, one object if it is there, and
// returns its members.
func readOptional(c *fiber.Ctx, x *middleware.Exchange) ([]jsonMember, error) {
	if len(x.Body) == 0 {
		return nil, nil
	}
	if err := checkJSON(c); err != nil {
		return nil, err
	}
	sent, trailing, refusal := readJSON(x.Body)
	switch {
	case refusal != nil:
		return nil, refusal
	case trailing != nil:
		return nil, trailing
	}
	if err := checkNames(&sent, ""); err != nil {
		return nil, err
	}
	return sent.children, nil
}

// maxTypes bounds the list of types, repetitions included.
const maxTypes = 64

// order reads one minting body, {"playback_id":…}, that stands at a path: ""
// for a body of its own. What is refused about its shape (contract §8: body)
// comes before what is refused about its values (IDs, types, parameters).
type order struct {
	k    *call
	env  *tenant.Environment
	at   string
	sent *jsonValue

	ids                                    [4]string // playback_id, asset_id, live_stream_id, video_id
	types, params, minTTL, session, custom *jsonValue
	requested                              []string // the types' names, aliases resolved
}

// forbidden refuses what only a backend may say: who the viewer is, and a video
// ID, which the catalogue does not know, so that no rule could tell whose it is.
// It comes before every other mistake of the body, because who asks comes before
// what is asked.
func forbidden(x *middleware.Exchange, v *jsonValue) *playback.Error {
	if x.Kind == middleware.BackendCaller {
		return nil
	}
	if viewer, ok := v.member("viewer"); ok && viewer.kind != jsonNull {
		return playback.Errorf(playback.CodeInsufficientPermissions, "Only a backend may say who the viewer is.")
	}
	if video, ok := v.member("video_id"); ok && video.kind != jsonNull {
		return playback.Errorf(playback.CodeInsufficientPermissions, "Only a backend may ask about a video_id.")
	}
	return nil
}

// readOrder returns the call that a minting body asks for.
func readOrder(c *fiber.Ctx, x *middleware.Exchange, v *jsonValue, at string) (*call, *playback.Error) {
	o := &order{k: newCall(c, x, ""), env: x.Environment.Environment, at: at, sent: v}
	for _, step := range [...]func() *playback.Error{
		o.shape, o.checkIDs, o.checkTypes, o.checkParams,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return o.k, nil
}

func (o *order) refuse(name, problem string) *playback.Error {
	return fieldError(join(o.at, name), problem)
}

// shape checks everything that does not need to know what Mux knows.
func (o *order) shape() *playback.Error {
	if o.sent.kind != jsonObject {
		return fieldError(o.at, "want an object")
	}
	if err := checkNames(o.sent, o.at); err != nil {
		return err
	}
	for i := range o.sent.children {
		m := &o.sent.children[i]
		if m.value.kind == jsonNull {
			if !orderNames.has(m.name) {
				return orderNames.unknown(o.at, m.name)
			}
			continue
		}
		if err := o.member(m.name, &m.value); err != nil {
			return err
		}
	}
	given := 0
	for _, id := range o.ids {
		if id != "" {
			given++
		}
	}
	if given != 1 {
		return o.refuse("playback_id", "want exactly one of playback_id, asset_id, live_stream_id, video_id")
	}
	if err := o.shapeTypes(); err != nil {
		return err
	}
	return o.shapeParams()
}

func (o *order) member(name string, v *jsonValue) *playback.Error {
	var err *playback.Error
	switch name {
	case "playback_id":
		err = o.id(0, name, v)
	case "asset_id":
		err = o.id(1, name, v)
	case "live_stream_id":
		err = o.id(2, name, v)
	case "video_id":
		err = o.id(3, name, v)
	case "types":
		o.types = v
	case "params":
		o.params = v
	case "min_ttl":
		o.minTTL = v
		if v.kind != jsonNumber && v.kind != jsonString {
			err = o.refuse(name, "want a number or a string")
		}
	case "session_id":
		o.session = v
		if v.kind != jsonString {
			err = o.refuse(name, "want a string")
		}
	case "viewer":
		err = o.k.readViewer(v, join(o.at, name), o.env)
	case "custom":
		o.custom = v
		if o.k.Backend {
			err = o.k.readCustom(v, join(o.at, name))
		}
	default:
		err = orderNames.unknown(o.at, name)
	}
	return err
}

func (o *order) id(n int, name string, v *jsonValue) *playback.Error {
	if v.kind != jsonString {
		return o.refuse(name, "want a string")
	}
	o.ids[n] = v.text
	if v.text == "" {
		o.ids[n] = " " // given, and no ID of any kind: checkIDs refuses it
	}
	return nil
}

func (o *order) shapeTypes() *playback.Error {
	if o.types == nil {
		o.requested = []string{playback.Video.String()}
		return nil
	}
	if o.types.kind != jsonArray || len(o.types.children) == 0 || len(o.types.children) > maxTypes {
		return o.refuse("types", "want an array of 1 to "+strconv.Itoa(maxTypes)+" types")
	}
	o.requested = make([]string, len(o.types.children))
	for i := range o.types.children {
		v := &o.types.children[i].value
		if v.kind != jsonString {
			return fieldError(below(o.types, join(o.at, "types"), i), "want a string")
		}
		o.requested[i] = canonicalType(v.text)
	}
	return nil
}

// canonicalType resolves the alias of a type's name; an unknown name stays.
func canonicalType(name string) string {
	if name == "playback" {
		return playback.Video.String()
	}
	return name
}

func (o *order) shapeParams() *playback.Error {
	if o.params == nil {
		return nil
	}
	at := join(o.at, "params")
	if o.params.kind != jsonObject {
		return fieldError(at, "want an object")
	}
	var seen []string
	for i := range o.params.children {
		m := &o.params.children[i]
		if m.value.kind == jsonNull {
			continue
		}
		here, name := join(at, m.name), canonicalType(m.name)
		switch {
		case !slices.Contains(o.requested, name):
			return fieldError(here, "is not among types"+playback.DidYouMean(m.name, o.requested))
		case slices.Contains(seen, name):
			return fieldError(here, "is given twice")
		case m.value.kind != jsonObject:
			return fieldError(here, "want an object")
		}
		seen = append(seen, name)
		for j := range m.value.children {
			p := &m.value.children[j]
			if p.value.kind == jsonArray || p.value.kind == jsonObject {
				return fieldError(join(here, p.name), "want a string, a number, true or false")
			}
		}
	}
	return nil
}

func (o *order) checkIDs() *playback.Error {
	k := o.k
	switch {
	case o.ids[0] != "":
		k.PlaybackID = playback.ID(o.ids[0])
		if err := k.checkPlaybackID(join(o.at, "playback_id")); err != nil {
			return err
		}
	case o.ids[1] != "":
		k.AssetID = playback.AssetID(o.ids[1])
		if !k.AssetID.Valid() {
			return o.refuse("asset_id", "want 1 to 255 letters and digits")
		}
	case o.ids[2] != "":
		k.LiveStreamID = playback.LiveStreamID(o.ids[2])
		if !k.LiveStreamID.Valid() {
			return o.refuse("live_stream_id", "want 1 to 255 letters and digits")
		}
	default:
		k.VideoID = playback.VideoID(o.ids[3])
		if !k.VideoID.Valid() {
			return o.refuse("video_id", "want 1 to 255 visible ASCII characters")
		}
	}
	if o.session != nil {
		if err := k.setSession(o.session.text, join(o.at, "session_id")); err != nil {
			return err
		}
	}
	if o.minTTL != nil {
		return k.setMinTTL(o.minTTL.text, join(o.at, "min_ttl"))
	}
	return nil
}

func (o *order) checkTypes() *playback.Error {
	for i, name := range o.requested {
		t, ok := playback.ParseTokenType(name)
		if !ok {
			return unknownType(name, below(o.types, join(o.at, "types"), i))
		}
		o.k.want(t)
	}
	return nil
}

func (o *order) checkParams() *playback.Error {
	if o.custom != nil && !o.k.Backend {
		return playback.Errorf(playback.CodeReservedClaim, "%s: only a backend may add claims", join(o.at, "custom"))
	}
	if o.params == nil {
		return nil
	}
	o.k.ParamsAt = join(o.at, "params")
	for i := range o.params.children {
		m := &o.params.children[i]
		if m.value.kind == jsonNull {
			continue
		}
		t, _ := playback.ParseTokenType(m.name) // it is among types, which are known by now
		params, err := readParams(t, &m.value)
		if err != nil {
			err.Message = join(o.k.ParamsAt, m.name) + "." + err.Message
			return err
		}
		o.k.Params[t] = params
	}
	return nil
}

// readParams reads the parameters of one type. Messages begin with a name.
func readParams(t playback.TokenType, v *jsonValue) (playback.Params, *playback.Error) {
	var params playback.Params
	for i := range v.children {
		m := &v.children[i]
		if playback.IsReservedClaim(m.name) || !playback.KnownParam(t, m.name) {
			return nil, notAParam(t, m.name)
		}
		var value any
		switch m.value.kind {
		case jsonNull:
			continue
		case jsonBool:
			value = m.value.text == "true"
		case jsonNumber:
			value = json.Number(m.value.text)
		case jsonString:
			value = m.value.text
		case jsonArray, jsonObject: // shapeParams has refused them
		}
		p, err := playback.ParseParam(t, m.name, value)
		if err != nil {
			return nil, err
		}
		params = params.With(p)
	}
	return params, playback.CheckSent(t, params)
}

// notAParam is what ParseParam would refuse, with the name in front. Other names
// that may stand in its place are suggested, too.
func notAParam(t playback.TokenType, name string, others ...string) *playback.Error {
	if playback.IsReservedClaim(name) {
		return playback.Errorf(playback.CodeReservedClaim, "%s: is a claim that cannot be chosen", name)
	}
	return playback.Errorf(playback.CodeUnknownParam, "%s: %s tokens have no such parameter%s",
		join("", name), t, playback.DidYouMean(name, append(playback.ParamNames(t), others...)))
}
