package policy

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/playgate/playgate/playback"
)

// Field is one member of a variable of the rule language.
type Field struct {
	Name string
	Type string // CEL's name of the type
	Doc  string
}

// Variable is one variable of the rule language. Fields is empty for `now`.
type Variable struct {
	Name   string
	Type   string
	Doc    string
	Fields []Field
}

// Variables returns the variables of the rule language in the order of the
// documentation: the table in docs/rules.md is this one (a test compares them).
func Variables() []Variable {
	var vars []Variable
	for i := range shapes {
		v := Variable{Name: shapes[i].name, Type: "object", Doc: shapes[i].doc}
		for _, f := range shapes[i].fields {
			v.Fields = append(v.Fields, Field{f.name, typeName(f.typ), f.doc})
		}
		vars = append(vars, v)
	}
	return append(vars, Variable{Name: "now", Type: typeName(types.TimestampType), Doc: "when the question is asked"})
}

func typeName(t *types.Type) string {
	if t.Kind() == types.TimestampKind {
		return "timestamp" // not by the name of its protobuf message
	}
	return t.String()
}

// The shapes, and per shape the index of each field.
const (
	viewerShape = iota
	playbackShape
	assetShape
	liveStreamShape
	requestShape
	environmentShape
	shapeCount
)

const (
	viewerIssuer = iota
	viewerID
	viewerAuthenticated
	viewerClaims
	viewerGrants
)

const (
	playbackID = iota
	playbackPolicy
	playbackKnown
)

const (
	assetID = iota
	assetDuration
	assetStatus
	assetPassthrough
	assetMeta
	assetCreatedAt
)

const (
	liveStreamID = iota
	liveStreamStatus
)

const (
	requestType = iota
	requestIP
	requestCountry
	requestRegion
	requestASN
	requestReferrer
	requestOrigin
	requestUserAgent
	requestSessionID
	requestParams
	maxFields
)

const (
	environmentID = iota
	environmentName
)

// shape is the type of a variable: what fields it has.
type shape struct {
	name   string
	doc    string
	typ    *types.Type
	fields []field
}

// field is a member of a shape. size bounds its length in characters (entries
// for maps) for the cost estimate; 0 means that nothing bounds it: whoever asks
// chooses it.
type field struct {
	name string
	typ  *types.Type
	size uint64
	doc  string
}

const (
	sizeID      = 255 // playback, asset, live-stream and viewer IDs
	sizeName    = 255 // what the operator names: aliases, environments, passthrough
	sizeWord    = 64  // enumerations, session IDs, environment IDs
	sizeParams  = 16  // more than any token type has
	sizeParam   = 40  // longer than any parameter's name or text value
	sizeAddress = 45  // RFC 4291 §2.2, form 3
)

var shapes = [shapeCount]shape{ //nolint:gochecknoglobals // a constant table
	viewerShape: {"viewer", "who wants to watch", types.NewObjectType("playgate.Viewer"), []field{
		viewerIssuer:        {"issuer", types.StringType, sizeName, `the issuer's alias; "" for anonymous viewers`},
		viewerID:            {"id", types.StringType, sizeID, `the issuer's sub; "" for anonymous viewers`},
		viewerAuthenticated: {"authenticated", types.BoolType, 0, "false: anonymous"},
		viewerClaims:        {"claims", claimsType(), 0, "all claims of the viewer token; numbers are doubles"},
		viewerGrants:        {"grants", types.NewListType(claimsType()), 0, "the rights that the viewer holds for this playback ID now: maps of id, type, scope, attributes and, where it has them, from, until, first_play (timestamps), play_within (a duration)"},
	}},
	playbackShape: {"playback", "the playback ID", types.NewObjectType("playgate.Playback"), []field{
		playbackID:     {"id", types.StringType, sizeID, "the playback ID"},
		playbackPolicy: {"policy", types.StringType, sizeWord, "public, signed or drm"},
		playbackKnown:  {"known", types.BoolType, 0, "false: not in the catalogue"},
	}},
	assetShape: {"asset", "the asset behind it; all zero when there is none or it is unknown", types.NewObjectType("playgate.Asset"), []field{
		assetID:          {"id", types.StringType, sizeID, "the asset's ID"},
		assetDuration:    {"duration", types.DoubleType, 0, "seconds; 0.0 unknown"},
		assetStatus:      {"status", types.StringType, sizeWord, "preparing, ready or errored"},
		assetPassthrough: {"passthrough", types.StringType, sizeName, "the asset's passthrough"},
		assetMeta:        {"meta", claimsType(), 0, "the asset's meta; numbers are doubles"},
		assetCreatedAt:   {"created_at", types.TimestampType, 0, "unknown: 1970-01-01T00:00:00Z"},
	}},
	liveStreamShape: {"live_stream", "the live stream behind it; all zero when there is none or it is unknown", types.NewObjectType("playgate.LiveStream"), []field{
		liveStreamID:     {"id", types.StringType, sizeID, "the live stream's ID"},
		liveStreamStatus: {"status", types.StringType, sizeWord, "idle, active or disabled"},
	}},
	requestShape: {"request", "what is asked for, and from where", types.NewObjectType("playgate.Request"), []field{
		requestType:      {"type", types.StringType, sizeWord, "the type of token: video, thumbnail, gif, storyboard, drm_license, stats, stats_asset, stats_live_stream, stats_video"},
		requestIP:        {"ip", types.StringType, sizeAddress, `the viewer's address, IPv4 where it is mapped into IPv6; "" unknown`},
		requestCountry:   {"country", types.StringType, sizeWord, `ISO 3166-1 alpha-2; "ZZ" unknown`},
		requestRegion:    {"region", types.StringType, sizeWord, `"" unknown`},
		requestASN:       {"asn", types.IntType, 0, "autonomous system number; 0 unknown"},
		requestReferrer:  {"referrer", types.StringType, 0, "the Referer header; anyone can choose it"},
		requestOrigin:    {"origin", types.StringType, 0, "the Origin header"},
		requestUserAgent: {"user_agent", types.StringType, 0, "the User-Agent header; anyone can choose it"},
		requestSessionID: {"session_id", types.StringType, sizeWord, "the caller's session_id"},
		requestParams:    {"params", claimsType(), sizeParams, "the parameters that were sent for this type; numbers are doubles"},
	}},
	environmentShape: {"environment", "the environment", types.NewObjectType("playgate.Environment"), []field{
		environmentID:   {"id", types.StringType, sizeWord, "the environment's ID"},
		environmentName: {"name", types.StringType, sizeName, "the environment's name"},
	}},
}

func claimsType() *types.Type { return types.NewMapType(types.StringType, types.DynType) }

// object is the value of a variable: ready CEL values by field index, so that
// evaluating a rule converts and allocates nothing. Immutable, except that a
// request makes its members when they are first asked for (request.go), and a
// viewer its grants (entitlements.go).
type object struct {
	shape   *shape
	members [maxFields]ref.Val
	source  *activation // of members that are nil: of the variable request, and of viewer.grants; else nil
}

func (o *object) member(i int) ref.Val {
	switch {
	case o.members[i] != nil || o.source == nil:
	case o.shape == &shapes[requestShape]:
		o.members[i] = o.source.request.make(i)
	default:
		return o.source.readGrants()
	}
	return o.members[i]
}

// isSet is has(): the member is known.
func (o *object) isSet(i int) bool {
	v := o.member(i)
	switch {
	case o.source == nil:
	case o.shape == &shapes[requestShape] && i == requestCountry:
		return v != types.String(playback.UnknownCountry)
	case types.IsError(v):
		o.source.guessed = true // CEL takes no error here
		return false
	}
	return !isZero(v)
}

func (o *object) find(name ref.Val) (int, bool) {
	text, ok := name.(types.String)
	if !ok {
		return 0, false
	}
	for i := range o.shape.fields {
		if o.shape.fields[i].name == string(text) {
			return i, true
		}
	}
	return 0, false
}

// Get reads a field by name: only rules that hide the type behind dyn() do.
func (o *object) Get(name ref.Val) ref.Val {
	if i, ok := o.find(name); ok {
		return o.member(i)
	}
	return types.NewErr("no such field: %v", name)
}

// IsSet is has() behind dyn().
func (o *object) IsSet(name ref.Val) ref.Val {
	if i, ok := o.find(name); ok {
		return types.Bool(o.isSet(i))
	}
	return types.NewErr("no such field: %v", name)
}

// ConvertToNative refuses: nothing outside the rules needs the object.
func (o *object) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s is not a value that can leave the rules", o.shape.name)
}

// ConvertToType answers type(viewer) only.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return o.shape.typ
	}
	return types.NewErr("%s cannot be converted", o.shape.name)
}

// Equal compares identities: there is one of each variable.
func (o *object) Equal(other ref.Val) ref.Val { return types.Bool(o == other) }

// Type returns the shape's type.
func (o *object) Type() ref.Type { return o.shape.typ }

// Value returns the object itself, which is what the field getters take.
func (o *object) Value() any { return o }

// isZero reports whether a member is what stands for "not known": has() is
// false for it.
func isZero(v ref.Val) bool {
	switch v := v.(type) {
	case types.String:
		return v == ""
	case types.Bool:
		return !bool(v)
	case types.Int:
		return v == 0
	case types.Double:
		return v == 0
	case types.Timestamp:
		return v.Unix() == 0
	case traits.Sizer:
		return v.Size() == types.IntZero
	}
	return false
}

// provider tells CEL's checker and interpreter what the variables look like,
// so that a misspelt field is an error when the rules are loaded.
type provider struct {
	types.Provider
	fields map[string]map[string]*types.FieldType // by type name, then field name
}

func conditionType() *types.Type { return types.NewObjectType("playgate.Condition") }

func newProvider(base types.Provider, named map[string]*types.FieldType) *provider {
	p := &provider{base, make(map[string]map[string]*types.FieldType, shapeCount+1)}
	p.fields[conditionType().TypeName()] = named
	for i := range shapes {
		fields := make(map[string]*types.FieldType, len(shapes[i].fields))
		for j, f := range shapes[i].fields {
			fields[f.name] = fieldType(i, j, f.typ)
		}
		p.fields[shapes[i].typ.TypeName()] = fields
	}
	return p
}

func fieldType(shapeIndex, index int, typ *types.Type) *types.FieldType {
	of := func(v any) (*object, bool) {
		o, ok := v.(*object)
		return o, ok && o.shape == &shapes[shapeIndex]
	}
	return &types.FieldType{
		Type: typ,
		IsSet: func(v any) bool {
			o, ok := of(v)
			return ok && o.isSet(index)
		},
		GetFrom: func(v any) (any, error) {
			if o, ok := of(v); ok {
				member := o.member(index)
				if problem, failed := member.(*types.Err); failed {
					return nil, problem
				}
				return member, nil
			}
			return nil, fmt.Errorf("%T has no field %s", v, shapes[shapeIndex].fields[index].name)
		},
	}
}

// FindStructType knows the types of the variables.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.fields[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames lists the fields of a variable's type.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := p.fields[name]
	if !ok {
		return p.Provider.FindStructFieldNames(name)
	}
	names := make([]string, 0, len(fields))
	for f := range fields {
		names = append(names, f)
	}
	return names, true
}

// FindStructFieldType finds one field of a variable's type.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if fields, ok := p.fields[name]; ok {
		f, found := fields[field]
		return f, found
	}
	return p.Provider.FindStructFieldType(name, field)
}
