package configs_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/playgate/playgate/configs"
)

// walk calls visit for every member of the schema, by its path.
func walk(t reflect.Type, path string, visit func(path string, f reflect.StructField)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[configs.Config]().PkgPath() {
		return
	}
	for f := range t.Fields() {
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		visit(at, f)
		walk(f.Type, at, visit)
	}
}

func TestEveryMemberHasAMeaningAndADefaultThatFits(t *testing.T) {
	t.Parallel()
	reference := configs.Reference()
	tags := map[string]bool{
		"yaml": true, "default": true, "required": true, "enum": true, "later": true, "min": true, "zero": true, "restart": true, "grammar": true, "shown": true, "secret": true, "doc": true,
	}
	walk(reflect.TypeFor[configs.Config](), "", func(path string, f reflect.StructField) {
		doc := f.Tag.Get("doc")
		if !strings.HasSuffix(doc, ".") {
			t.Errorf("%s: the meaning %q is no sentence", path, doc)
		}
		if !strings.Contains(reference, "| `"+f.Tag.Get("yaml")+"` |") {
			t.Errorf("%s is not in the reference", path)
		}
		for rest := string(f.Tag); rest != ""; {
			key, after, _ := strings.Cut(rest, ":\"")
			if !tags[strings.TrimSpace(key)] {
				t.Errorf("%s has the tag %q, which nothing reads", path, key)
			}
			_, rest, _ = strings.Cut(strings.ReplaceAll(after, `\"`, ""), `"`)
		}
		text, given := f.Tag.Lookup("default")
		if !given {
			return
		}
		if values := f.Tag.Get("enum"); values != "" && !strings.Contains(","+values+",", ","+text+",") {
			t.Errorf("%s: the default %q is not among %s", path, text, values)
		}
	})
}

// A default that does not fit its type would be dropped in silence: every one
// that is not the zero value must show in a configuration that gives nothing.
func TestEveryDefaultTakesEffect(t *testing.T) {
	t.Parallel()
	loaded := mustLoad(t, environment(viewer("max_lifetime: ")+"\naccess_tokens: [{id: t, secret_sha256: "+hash+"}]\nplayback_ids: [{id: P, asset: {id: A}, live_stream: {id: L}}]"), nil)
	var check func(v reflect.Value, path string)
	check = func(v reflect.Value, path string) {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice && v.Len() > 0 {
			if v.Kind() == reflect.Slice {
				v = v.Index(0)
			} else if v = v.Elem(); !v.IsValid() {
				return
			}
		}
		if v.Kind() != reflect.Struct || v.Type().PkgPath() != reflect.TypeFor[configs.Config]().PkgPath() {
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			text := f.Tag.Get("default")
			if text != "" && text != "0" && text != "false" && v.Field(i).IsZero() {
				t.Errorf("%s.%s has the default %q, but is zero", path, f.Tag.Get("yaml"), text)
			}
			if f.IsExported() {
				check(v.Field(i), path+"."+f.Tag.Get("yaml"))
			}
		}
	}
	check(reflect.ValueOf(loaded.Config), "")
}

func TestNoTwoMembersShareAVariable(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	walk(reflect.TypeFor[configs.Config](), "", func(path string, _ reflect.StructField) {
		if strings.HasPrefix(path, "organizations.") {
			return
		}
		name := strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
		if other, taken := seen[name]; taken {
			t.Errorf("PLAYGATE_%s names both %s and %s", name, other, path)
		}
		seen[name] = path
	})
	if len(seen) < 30 {
		t.Errorf("found only %d members", len(seen))
	}
}
