package catalog

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzParse: the short way reads nothing differently from encoding/json.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"tied":true,"status":"disabled"}`, `{"tied":false}`, `{"tied":truefalse}`, `{"policies":["signed","drm"],"status":"ready","duration":120.5,"passthrough":"x","meta":{"title":"T","creator_id":"c"},"created_at":1700000000,"live_stream_id":"L1"}`,
		`{"meta":{}}`, `{"meta":{"a":{"b":1}}}`, `{"meta":{"a":"b","a":"c"}}`, `{"status":"a\"b"}`, `{"status":"ü"}`, `{"status":"a","status":"b"}`, `{"duration":1e3}`,
		`{"duration":01}`, `{"duration":0x1p4}`, `{"duration":1_0}`, `{"created_at":1.5}`, `{"created_at":+1}`, `{"policies":[]}`, `{"policies":null}`, `{"Status":"x"}`, `{"status":"x"} `, `{"status":"x",}`,
		`{"duration":-1}`, `{"duration":NaN}`, `{"duration":.5}`, `{"duration":5.}`, `{"created_at":007}`, "{\"status\":\"\x80\"}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := scanner{rest: text}
		short, ok := s.description()
		if !ok {
			return
		}
		var long description
		if err := json.Unmarshal([]byte(text), &long); err != nil {
			t.Fatalf("%q is read, though it is no description: %v", text, err)
		}
		if len(short.Policies) == 0 && len(long.Policies) == 0 {
			short.Policies, long.Policies = nil, nil
		}
		if !reflect.DeepEqual(short, long) {
			t.Errorf("%q: %+v, want %+v", text, short, long)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const data = `{"policies":["signed"],"status":"ready","duration":12.5,"passthrough":"film-7","meta":{"title":"The film number 7"},"created_at":1700000000}`
	b.ReportAllocs()
	for b.Loop() {
		parse(data)
	}
}
