package policy

import (
	"reflect"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
)

// TestEveryOptionTellsDocumentsApart: two environments share what was compiled only
// if nothing that is compiled into it differs. Options that are added must be told
// apart, too, or be named here as not compiled in.
func TestEveryOptionTellsDocumentsApart(t *testing.T) {
	t.Parallel()
	own := map[string]bool{"Environment": true, "Name": true, "Metrics": true, "ReadFile": true, "Catalogue": true, "Line": true}
	values := map[reflect.Type]any{
		reflect.TypeFor[string](): "x", reflect.TypeFor[time.Duration](): time.Hour, reflect.TypeFor[[]string](): []string{"x"},
		reflect.TypeFor[playback.Secret](): playback.NewSecret("x"),
	}
	plain := keyOf(nil, &Options{}, "")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Options]()) {
		if own[field.Name] {
			continue
		}
		value, ok := values[field.Type]
		if !ok {
			t.Errorf("%s: this test has no value of type %s", field.Name, field.Type)
			continue
		}
		var o Options
		reflect.ValueOf(&o).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(value))
		if keyOf(nil, &o, "") == plain {
			t.Errorf("%s is not a part of the key", field.Name)
		}
	}
	if keyOf([]byte("a"), &Options{}, "") == plain || keyOf(nil, &Options{}, "acme") == plain || keyOf(nil, &Options{Issuers: []string{}}, "") == plain {
		t.Error("text, environment or the absence of issuers is not a part of the key")
	}
}
