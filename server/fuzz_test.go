package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/server"
)

// quiet returns a server for a fuzz target: its limits never apply.
func quiet(f *testing.F) *kit {
	f.Helper()
	k := start(f, options{})
	k.t = outside{f}
	return k
}

// outside is what a kit reports to while a fuzz target runs: F's own methods
// must not be called then.
type outside struct{ testing.TB }

func (outside) Helper()                      {}
func (outside) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (outside) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// neverOurFault fails if an answer says that the gateway did something wrong.
func neverOurFault(t *testing.T, r response) {
	t.Helper()
	if r.StatusCode >= 500 {
		t.Errorf("answered %d: %s", r.StatusCode, r.body)
	}
	if r.StatusCode >= 400 {
		checkEnvelope(t, r)
	}
	if location := r.Header.Get("Location"); location != "" {
		if u, err := url.Parse(location); err != nil || !strings.HasSuffix(u.Host, ".example") || strings.Contains(u.Path, "..") || strings.Contains(u.Path, "%") {
			t.Errorf("Location = %q", location)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, target := range []string{
		"/v1/playback-ids/P/token?type=thumbnail&time=5.0&width=%33", "/stream/%2e%2e.m3u8?token=x&a=b&a", "/image/P/thumbnail.png?CMCD=%22a%22",
		"//x/../stream/P.m3u8?", "/stats/counts?playback_id=P&asset_id", "/stream/P/text/a.vtt?session_id=%zz", "/license/widevine/P?=&&=", "/v1/environments/a/jwks.json",
		"http://evil.example/stream/P.m3u8", "/stream/P.m3u8#frag?x", "*", "/stream/P/\u00e9.mp4?\u00e9=\xff",
	} {
		f.Add(target)
	}
	k := quiet(f)
	f.Fuzz(func(t *testing.T, target string) {
		if strings.ContainsAny(target, "\r\n") || len(target) > 8000 {
			t.Skip("ends the request line: another request than this target is about")
		}
		neverOurFault(t, k.get(target, bearer(acmeViewer)))
	})
}

func FuzzHost(f *testing.F) {
	for _, host := range []string{acmeHost, "PLAY.acme.example.:80", "[::1]:80", "[::ffff:1.2.3.4", "a:b:c", "stream." + acmeHost, "evil.example/x", "a@b", "%41", "\xff", "", "xn--nxasmq6b"} {
		f.Add(host)
	}
	k := quiet(f)
	f.Fuzz(func(t *testing.T, host string) {
		if strings.ContainsAny(host, "\r\n") || len(host) > 8000 {
			t.Skip("ends the header")
		}
		r := k.get("/v1/playback-ids/P/token", "Host: "+host, "Origin: "+host, bearer(sharedViewer))
		neverOurFault(t, r)
		if r.StatusCode == 200 && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(host)), "play.") && !strings.Contains(host, "@") && !strings.Contains(host, "%") {
			t.Errorf("host %q led to an environment", host)
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"playback_id":"P","types":["video","gif"],"params":{"gif":{"end":5,"fps":"10"}},"min_ttl":"5m","session_id":"s"}`,
		`{"asset_id":"A","viewer":{"id":"u","claims":{"a":[1e5,null,{"b":"\u00e9\ud83d\ude00"}]},"ip":"::1","country":"SE","asn":1},"custom":{"x":-0.5e-3}}`,
		`{"requests":[{"playback_id":"P"},{"live_stream_id":"L"},5,null]}`, `{"a":1,"a":2}`, `{`, `[]`, "{\"\xff\":1}", `{"playback_id":"\ud800"}`,
	} {
		f.Add([]byte(body))
	}
	k := quiet(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 || len(body) > 60_000 {
			t.Skip("no body, or another stage's business")
		}
		neverOurFault(t, k.post("/v1/tokens", string(body), basicAuth(acmeBackend, secret)))
		neverOurFault(t, k.post("/v1/tokens", string(body), bearer(acmeViewer)))
		neverOurFault(t, k.post("/v1/tokens/batch", string(body), basicAuth(acmeBackend, secret)))
	})
}

// FuzzJSON compares the strict reader with encoding/json: what it accepts is
// the same value, and what it calls malformed is malformed, or is one of the
// things that encoding/json lets pass.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"a":[1,-0,1.5e+3,"x\n\u0041\ud83d\ude00",true,false,null,{"b":{}}]}`, `{"a":1,}`, `{"a":01}`, `{"a":"\u00`, `{"\ud800":1}`, ` { "b" : 1 , "a" : 2 } `, `{"a":1}x`,
		`{"a":"` + "\x7f\u2028" + `"}`, `{"a":tru}`, `{"a":nulll}`, `{"a":"\/"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		canonical, code := server.CanonicalJSON(body)
		var want any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		valid := json.Valid(body) && d.Decode(&want) == nil
		if code == "" {
			var got any
			d := json.NewDecoder(bytes.NewReader(canonical))
			d.UseNumber()
			if err := d.Decode(&got); err != nil || !valid {
				t.Fatalf("%q became %q: %v (valid: %v)", body, canonical, err, valid)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%q became %q: %s", body, canonical, diff)
			}
			if again, code := server.CanonicalJSON(canonical); code != "" || !bytes.Equal(again, canonical) {
				t.Fatalf("%q is not canonical: %q %s", canonical, again, code)
			}
			return
		}
		_, object := want.(map[string]any)
		if code == "invalid_json" && valid && object && utf8.Valid(body) && !bytes.Contains(bytes.ToLower(body), []byte(`\ud`)) {
			t.Fatalf("%q is refused as malformed", body)
		}
	})
}
