package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/playgate/playgate/playback"
)

// toCEL converts a JSON value. Numbers become doubles, as the rule language
// promises, whatever Go type the producer chose. A value that JSON does not
// have becomes an error value: a rule that reads it fails to evaluate.
func toCEL(v any) ref.Val {
	switch v := v.(type) {
	case nil:
		return types.NullValue
	case string:
		return types.String(v)
	case bool:
		return types.Bool(v)
	case float64:
		return types.Double(v)
	case map[string]any:
		return toMap(v)
	case []any:
		return toList(v)
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return types.NewErr("not a number: %s", v)
		}
		return types.Double(f)
	case int:
		return types.Double(v)
	case int64:
		return types.Double(v)
	case uint64:
		return types.Double(v)
	case []string:
		return types.NewStringList(types.DefaultTypeAdapter, v)
	case time.Time:
		return types.String(v.UTC().Format(time.RFC3339Nano)) // YAML has times, JSON writes them as text
	}
	return types.NewErr("not a JSON value: %T", v)
}

func toList(list []any) ref.Val {
	vals := make([]ref.Val, len(list))
	for i := range list {
		vals[i] = toCEL(list[i])
	}
	return types.NewRefValList(types.DefaultTypeAdapter, vals)
}

func toMap(m map[string]any) ref.Val {
	vals := make(map[string]any, len(m)) // values are ref.Vals; the adapter hands them through
	for k, v := range m {
		vals[k] = toCEL(v)
	}
	return newSortedMap(vals)
}

// sortedMap is CEL's map with string keys, but iterates in the order of the
// keys, so that custom claims made by a comprehension have the same bytes on
// every replica. The order is made when somebody iterates, which few rules do:
// a remembered viewer would hold it for nothing.
type sortedMap struct {
	traits.Mapper
	members stringKeys
	vals    map[string]any // what Mapper looks up
}

// stringKeys is how CEL's interpreter looks a constant key up without boxing it.
type stringKeys interface {
	FindStringKey(key string) (any, bool)
}

func newSortedMap(vals map[string]any) ref.Val {
	m := types.NewStringInterfaceMap(types.DefaultTypeAdapter, vals)
	members, ok := m.(stringKeys)
	if !ok {
		return m // a cel-go without the fast path: slower, not wrong
	}
	return &sortedMap{m, members, vals}
}

// FindStringKey looks a key up.
func (m *sortedMap) FindStringKey(key string) (any, bool) { return m.members.FindStringKey(key) }

// IsZeroValue reports whether the map is empty.
func (m *sortedMap) IsZeroValue() bool { return len(m.vals) == 0 }

// Iterator iterates over the keys in their order.
func (m *sortedMap) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, slices.Sorted(maps.Keys(m.vals))).Iterator()
}

func emptyMap() ref.Val { return newSortedMap(map[string]any{}) }

func timestamp(t time.Time) ref.Val {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return types.Timestamp{Time: t.UTC()}
}

// constants are the values that questions share: what an unknown thing looks
// like, and the short closed vocabularies.
type constants struct {
	anonymous, asset, liveStream *object
	types                        [playback.TokenTypes]ref.Val
	noParams                     ref.Val
	client                       playback.Client // of a question that says nothing of its client
}

func newConstants() *constants {
	c := &constants{
		anonymous:  newViewer(&playback.Viewer{}),
		asset:      newAsset(&playback.Asset{}),
		liveStream: newLiveStream(&playback.LiveStream{}),
		noParams:   emptyMap(),
	}
	for t := range c.types {
		c.types[t] = types.String(playback.TokenType(t).String())
	}
	return c
}

func newObject(index int) *object { return &object{shape: &shapes[index]} }

func newViewer(v *playback.Viewer) *object {
	o := newObject(viewerShape)
	o.members[viewerIssuer] = types.String(v.Issuer)
	o.members[viewerID] = types.String(v.ID)
	o.members[viewerAuthenticated] = types.Bool(v.Authenticated)
	o.members[viewerClaims] = toMap(v.Claims)
	o.members[viewerGrants] = types.NewRefValList(types.DefaultTypeAdapter, nil)
	return o
}

// newPlayback converts a playback ID; nil is one of which nothing is known.
func newPlayback(p *playback.Object) *object {
	if p == nil {
		p = &playback.Object{}
	}
	o := newObject(playbackShape)
	o.members[playbackID] = types.String(p.ID)
	o.members[playbackPolicy] = types.String(p.Policy)
	o.members[playbackKnown] = types.Bool(p.Known)
	return o
}

func newAsset(a *playback.Asset) *object {
	o := newObject(assetShape)
	o.members[assetID] = types.String(a.ID)
	o.members[assetDuration] = types.Double(a.Duration)
	o.members[assetStatus] = types.String(a.Status)
	o.members[assetPassthrough] = types.String(a.Passthrough)
	o.members[assetMeta] = toMap(a.Meta)
	o.members[assetCreatedAt] = timestamp(a.CreatedAt)
	return o
}

func newLiveStream(l *playback.LiveStream) *object {
	o := newObject(liveStreamShape)
	o.members[liveStreamID] = types.String(l.ID)
	o.members[liveStreamStatus] = types.String(l.Status)
	return o
}

func newEnvironment(id playback.EnvironmentID, name string) *object {
	o := newObject(environmentShape)
	o.members[environmentID] = types.String(id)
	o.members[environmentName] = types.String(name)
	return o
}

// toParams converts the parameters of one token type.
func toParams(ps playback.Params) ref.Val {
	vals := make(map[string]any, len(ps))
	for _, p := range ps {
		vals[p.Name] = toCEL(p.Value())
	}
	return newSortedMap(vals)
}

// toJSON converts a CEL value to what encoding/json writes. An absent optional
// gives ok == false: the member is left out.
func toJSON(v ref.Val) (out any, ok bool, err error) {
	switch v := v.(type) {
	case types.Null:
		return nil, true, nil
	case types.Bool:
		return bool(v), true, nil
	case types.String:
		return string(v), true, nil
	case types.Int:
		return int64(v), true, nil
	case types.Uint:
		return uint64(v), true, nil
	case types.Double:
		return float64(v) + 0, true, nil // -0 + 0 is 0
	case types.Bytes:
		return []byte(v), true, nil // base64, as CEL's own JSON mapping
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), true, nil
	case types.Duration:
		return v.ConvertToType(types.StringType).Value(), true, nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, false, nil
		}
		return toJSON(v.GetValue())
	case traits.Lister:
		return listToJSON(v)
	case traits.Mapper:
		return mapToJSON(v)
	}
	return nil, false, fmt.Errorf("%s has no JSON form", v.Type().TypeName())
}

func listToJSON(list traits.Lister) (any, bool, error) {
	out := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		member, ok, err := toJSON(it.Next())
		if err != nil {
			return nil, false, err
		}
		if ok {
			out = append(out, member)
		}
	}
	return out, true, nil
}

func mapToJSON(m traits.Mapper) (any, bool, error) {
	out := make(map[string]any)
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, isText := key.(types.String)
		if !isText {
			return nil, false, fmt.Errorf("a key of type %s has no JSON form", key.Type().TypeName())
		}
		member, ok, err := toJSON(m.Get(key))
		if err != nil {
			return nil, false, err
		}
		if ok {
			out[string(name)] = member
		}
	}
	return out, true, nil
}
