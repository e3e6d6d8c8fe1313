package tokencache_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// full returns claims with every field set.
func full() *playback.Claims {
	return &playback.Claims{
		Environment: "acme", Key: "K1", Thumbprint: playback.Thumbprint{1}, Kid: playback.KidClaim,
		Sub: "PID1", Aud: "v", Params: playback.Params{{Name: "asset_end_time", JSON: "60"}, {Name: "max_resolution", JSON: `"480p"`}},
		Restriction: "R1", Custom: `{"viewer":"p1"}`, Exp: 1_800_000_900,
	}
}

// TestEveryFieldOfClaimsChangesTheKey finds the fields by reflection: a field
// that is added to Claims or Param and forgotten in KeyOf fails here.
func TestEveryFieldOfClaimsChangesTheKey(t *testing.T) {
	t.Parallel()
	for i, value := range reflect.ValueOf(full()).Elem().Fields() {
		if value.IsZero() {
			t.Fatalf("full() leaves %s unset", i.Name)
		}
	}
	count := 0
	for _, change := range leaves(reflect.TypeFor[playback.Claims](), "Claims") {
		changed := full()
		change.apply(reflect.ValueOf(changed).Elem())
		if reflect.DeepEqual(changed, full()) {
			t.Fatalf("%s was not changed", change.name)
		}
		if tokencache.KeyOf(changed) == tokencache.KeyOf(full()) {
			t.Errorf("%s does not change the key", change.name)
		}
		count++
	}
	if least := reflect.TypeFor[playback.Claims]().NumField() + reflect.TypeFor[playback.Param]().NumField(); count < least {
		t.Errorf("tried %d changes, want at least %d", count, least)
	}
}

type change struct {
	name  string
	apply func(reflect.Value)
}

// leaves returns one change for every value inside a type.
func leaves(typ reflect.Type, name string) []change {
	switch typ.Kind() { //nolint:exhaustive // what it does not know is a failure of its own
	case reflect.String:
		return []change{{name, func(v reflect.Value) { v.SetString(v.String() + "x") }}}
	case reflect.Int64:
		return []change{{name, func(v reflect.Value) { v.SetInt(v.Int() + 1) }}}
	case reflect.Uint8:
		return []change{{name, func(v reflect.Value) { v.SetUint(v.Uint() ^ 1) }}}
	case reflect.Array:
		var out []change
		for i := range typ.Len() {
			out = append(out, at(leaves(typ.Elem(), fmt.Sprintf("%s[%d]", name, i)), func(v reflect.Value) reflect.Value { return v.Index(i) })...)
		}
		return out
	case reflect.Slice:
		last := func(v reflect.Value) reflect.Value { return v.Index(v.Len() - 1) }
		out := at(leaves(typ.Elem(), name+"[last]"), last)
		return append(out,
			change{name + " shortened", func(v reflect.Value) { v.SetLen(v.Len() - 1) }},
			change{name + " lengthened", func(v reflect.Value) { v.Set(reflect.Append(v, reflect.Zero(typ.Elem()))) }})
	case reflect.Struct:
		var out []change
		for i := range typ.NumField() {
			out = append(out, at(leaves(typ.Field(i).Type, name+"."+typ.Field(i).Name), func(v reflect.Value) reflect.Value { return v.Field(i) })...)
		}
		return out
	default:
		panic("KeyOf and this test must learn to handle a " + typ.Kind().String() + " in " + name)
	}
}

func at(changes []change, inner func(reflect.Value) reflect.Value) []change {
	for i, c := range changes {
		changes[i].apply = func(v reflect.Value) { c.apply(inner(v)) }
	}
	return changes
}

// drawn draws claims from few values, so that equal ones are drawn too.
func drawn(t *rapid.T, label string) *playback.Claims {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00\"")), 0, 5, -1)
	c := &playback.Claims{
		Environment: playback.EnvironmentID(text.Draw(t, label+".Environment")),
		Key:         playback.KeyID(text.Draw(t, label+".Key")),
		Thumbprint:  playback.Thumbprint{rapid.Byte().Draw(t, label+".Thumbprint")},
		Kid:         playback.KidPlacement(text.Draw(t, label+".Kid")),
		Sub:         text.Draw(t, label+".Sub"),
		Aud:         text.Draw(t, label+".Aud"),
		Restriction: playback.RestrictionID(text.Draw(t, label+".Restriction")),
		Custom:      text.Draw(t, label+".Custom"),
		Exp:         rapid.Int64Range(-1, 1).Draw(t, label+".Exp"),
	}
	for range rapid.IntRange(0, 3).Draw(t, label+".Params") {
		c.Params = c.Params.With(playback.Param{Name: text.Draw(t, label+".Name"), JSON: text.Draw(t, label+".JSON")})
	}
	return c
}

// equal compares by what a token's bytes depend on.
func equal(a, b *playback.Claims) bool {
	return slices.Equal(a.Params, b.Params) && func(a, b playback.Claims) bool {
		a.Params, b.Params = nil, nil
		return reflect.DeepEqual(a, b)
	}(*a, *b)
}

func TestKeysAreEqualExactlyWhenTheClaimsAre(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := drawn(t, "a")
		b := *a
		if rapid.Bool().Draw(t, "another") {
			b = *drawn(t, "b")
		}
		// Move a text from one field to the next: its bytes stay together, its
		// meaning changes.
		if rapid.Bool().Draw(t, "shift") && b.Sub != "" {
			b.Aud, b.Sub = b.Sub[len(b.Sub)-1:]+b.Aud, b.Sub[:len(b.Sub)-1]
		}
		if got, want := tokencache.KeyOf(a) == tokencache.KeyOf(&b), equal(a, &b); got != want {
			t.Fatalf("keys of %+v and %+v: equal is %v, want %v", a, &b, got, want)
		}
	})
}

func TestOneChangedInputGivesAnotherKey(t *testing.T) {
	t.Parallel()
	changes := leaves(reflect.TypeFor[playback.Claims](), "Claims")
	rapid.Check(t, func(t *rapid.T) {
		a := drawn(t, "a")
		a.Params = a.Params.With(playback.Param{Name: "z", JSON: "1"})
		b := *a
		b.Params = slices.Clone(a.Params)
		c := changes[rapid.IntRange(0, len(changes)-1).Draw(t, "change")]
		c.apply(reflect.ValueOf(&b).Elem())
		if tokencache.KeyOf(a) == tokencache.KeyOf(&b) {
			t.Fatalf("%s does not change the key of %+v", c.name, a)
		}
	})
}

func TestParametersGivenInAnotherOrderHaveOneKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.Permutation([]string{"asset_end_time", "exclude_pdt", "max_resolution", "time"}).Draw(t, "order")
		c := full()
		c.Params = nil
		for _, name := range names {
			c.Params = c.Params.With(playback.Param{Name: name, JSON: "1"})
		}
		want := full()
		want.Params = playback.Params{{Name: "asset_end_time", JSON: "1"}, {Name: "exclude_pdt", JSON: "1"}, {Name: "max_resolution", JSON: "1"}, {Name: "time", JSON: "1"}}
		if tokencache.KeyOf(c) != tokencache.KeyOf(want) {
			t.Fatalf("the order %v gives another key", names)
		}
	})
}

func TestNoTwoFieldsRunTogether(t *testing.T) {
	t.Parallel()
	with := func(change func(*playback.Claims)) tokencache.Key {
		c := &playback.Claims{}
		change(c)
		return tokencache.KeyOf(c)
	}
	seen := map[tokencache.Key]string{}
	for name, key := range map[string]tokencache.Key{
		"environment":    with(func(c *playback.Claims) { c.Environment = "ab" }),
		"split":          with(func(c *playback.Claims) { c.Environment, c.Key = "a", "b" }),
		"key":            with(func(c *playback.Claims) { c.Key = "ab" }),
		"kid":            with(func(c *playback.Claims) { c.Kid = "ab" }),
		"sub":            with(func(c *playback.Claims) { c.Sub = "ab" }),
		"aud":            with(func(c *playback.Claims) { c.Aud = "ab" }),
		"restriction":    with(func(c *playback.Claims) { c.Restriction = "ab" }),
		"custom":         with(func(c *playback.Claims) { c.Custom = "ab" }),
		"a parameter":    with(func(c *playback.Claims) { c.Params = playback.Params{{Name: "ab"}} }),
		"split in it":    with(func(c *playback.Claims) { c.Params = playback.Params{{Name: "a", JSON: "b"}} }),
		"two":            with(func(c *playback.Claims) { c.Params = playback.Params{{Name: "a"}, {Name: "b"}} }),
		"a length":       with(func(c *playback.Claims) { c.Sub = "\x00\x00\x00\x01a" }),
		"nothing at all": with(func(*playback.Claims) {}),
	} {
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[key] = name
	}
}

func TestKeyOfAllocatesNothing(t *testing.T) {
	largest := full()
	largest.Environment = playback.EnvironmentID(strings.Repeat("e", 63))
	largest.Key = playback.KeyID(strings.Repeat("k", 128))
	largest.Sub = strings.Repeat("s", 255)
	largest.Restriction = playback.RestrictionID(strings.Repeat("r", 255))
	largest.Custom = strings.Repeat("c", 1024)
	for _, name := range playback.ParamNames(playback.Video) {
		largest.Params = largest.Params.With(playback.Param{Name: name, JSON: strings.Repeat("9", 40)})
	}
	for name, c := range map[string]*playback.Claims{"typical": full(), "largest": largest} {
		if n := testing.AllocsPerRun(100, func() { tokencache.KeyOf(c) }); n != 0 {
			t.Errorf("KeyOf(%s) allocates %v times, want 0", name, n)
		}
	}
}

func BenchmarkKeyOf(b *testing.B) {
	c := full()
	b.ReportAllocs()
	for b.Loop() {
		tokencache.KeyOf(c)
	}
}
