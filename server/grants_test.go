package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

func (k *kit) put(target, body string, headers ...string) response {
	k.t.Helper()
	return k.raw("PUT", message("PUT", target, body, append(headers, "Content-Type: application/json")))
}

const aRental = `{"viewer":{"issuer":"main","id":"u1"},"type":"rental","scope":{"asset_id":"A1"},"from":1800000000,"until":2000000000,"play_within":"48h","attributes":{"price":"4.99","n":[1,null]}}`

func TestGrantsOverHTTP(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	backend := basicAuth(acmeBackend, secret)

	r := k.put("/v1/grants/order-1", aRental, backend)
	k.want(r, http.StatusCreated, "")
	want := map[string]any{"data": map[string]any{
		"id": "order-1", "viewer": map[string]any{"issuer": "main", "id": "u1"}, "type": "rental", "scope": map[string]any{"asset_id": "A1"},
		"from": 1800000000.0, "until": 2000000000.0, "play_within": 172800.0, "first_play": nil,
		"attributes": map[string]any{"price": "4.99", "n": []any{1.0, nil}}, "created_at": 1900000000.0, "updated_at": 1900000000.0,
	}}
	if diff := cmp.Diff(want, r.decode(t)); diff != "" {
		t.Errorf("PUT (-want +got):\n%s", diff)
	}
	again := k.put("/v1/grants/order-1", aRental, backend)
	k.want(again, http.StatusOK, "")
	got := k.get("/v1/grants/order-1", backend)
	k.want(got, http.StatusOK, "")
	if again.body != r.body || got.body != r.body {
		t.Errorf("the same PUT again: %s\nGET: %s", again.body, got.body)
	}
	if head := k.call("HEAD", "/v1/grants/order-1", backend); head.StatusCode != http.StatusOK || head.body != "" {
		t.Errorf("HEAD = %d %q", head.StatusCode, head.body)
	}

	k.want(k.put("/v1/grants/order-1", strings.Replace(aRental, `"u1"`, `"u2"`, 1), backend), http.StatusBadRequest, playback.CodeInvalidField)
	if kept := k.get("/v1/grants/order-1", backend); kept.body != r.body {
		t.Errorf("after a PUT for another viewer: %s", kept.body)
	}

	k.want(k.put("/v1/grants/pass", `{"viewer":{"id":"u1"},"type":"subscription","scope":{"all":true}}`, backend), http.StatusCreated, "")
	k.want(k.put("/v1/grants/pass-2", `{"viewer":{"id":"u 2/ü"},"type":"ticket","scope":{"tag":"sport"}}`, backend), http.StatusCreated, "")
	list := k.get("/v1/grants?viewer=u1", backend)
	k.want(list, http.StatusOK, "")
	var ids []string
	for _, item := range list.decode(t)["data"].([]any) {
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	if diff := cmp.Diff([]string{"order-1", "pass"}, ids); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if r := k.get("/v1/grants?viewer=u+2%2F%C3%BC&issuer=main", backend); !strings.Contains(r.body, `"pass-2"`) {
		t.Errorf("a viewer with an odd ID: %s", r.body)
	}
	if r := k.get("/v1/grants?viewer=u1&issuer=shared", backend); r.body != `{"data":[]}` {
		t.Errorf("a namesake's grants: %s", r.body)
	}

	sent := strings.TrimSuffix(strings.TrimPrefix(got.body, `{"data":`), "}")
	if back := k.put("/v1/grants/order-1", sent, backend); back.StatusCode != http.StatusOK || back.body != got.body {
		t.Errorf("what GET answered, sent back: %d %s", back.StatusCode, back.body)
	}
	k.want(k.put("/v1/grants/order-2", sent, backend), http.StatusBadRequest, playback.CodeInvalidField)

	k.want(k.call("DELETE", "/v1/grants/order-1", backend), http.StatusNoContent, "")
	k.want(k.call("DELETE", "/v1/grants/order-1", backend), http.StatusNotFound, playback.CodeNotFound)
	k.want(k.get("/v1/grants/order-1", backend), http.StatusNotFound, playback.CodeNotFound)
}

// TestTimesOfGrantsInWords: RFC 3339, to the second.
func TestTimesOfGrantsInWords(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	backend := basicAuth(acmeBackend, secret)
	for text, want := range map[string]float64{
		"1800000000": 1800000000, `"2027-01-15T08:00:00Z"`: 1800000000, `"2027-01-15T08:00:00.999Z"`: 1800000000, `"2027-01-15t08:00:00z"`: 1800000000,
		`"2027-01-15T09:30:00+01:30"`: 1800000000, `"2027-01-15T03:00:00-05:00"`: 1800000000, `"1970-01-01T00:00:00Z"`: 0, `"9999-12-31T23:59:59Z"`: 253402300799,
	} {
		for _, member := range []string{"from", "until"} {
			r := k.put("/v1/grants/g-"+member, `{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"`+member+`":`+text+`}`, backend)
			grant, _ := r.decode(t)["data"].(map[string]any)
			if grant[member] != want {
				t.Errorf("%s %s: %d %s, want %v", member, text, r.StatusCode, r.body, want)
			}
		}
	}
}

// TestTimesOfGrantsThatCannotBeSayWhy: what is a time, but none that a grant can
// have, is not refused for how it is written.
func TestTimesOfGrantsThatCannotBeSayWhy(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for text, want := range map[string]string{
		`"1969-12-31T23:59:59Z"`: "is before 1970-01-01T00:00:00Z, where Unix time begins", `"1960-01-01T00:00:00+01:00"`: "is before 1970-01-01T00:00:00Z",
		`-1`: "is before 1970-01-01T00:00:00Z", `1795425054000`: "is after the year 9999; want Unix seconds, not milliseconds",
		`"1969"`: `want an integer of Unix seconds, or "2027-01-31T18:00:00Z" as in RFC 3339`,
	} {
		for _, member := range []string{"from", "until"} {
			r := k.put("/v1/grants/g-"+member, `{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"`+member+`":`+text+`}`, basicAuth(acmeBackend, secret))
			k.want(r, http.StatusBadRequest, playback.CodeInvalidField)
			if said := fmt.Sprint(r.decode(t)["error"]); !strings.Contains(said, member+": "+want) {
				t.Errorf("%s %s: %s, want %s", member, text, said, want)
			}
		}
	}
}

// TestGrantsUnderAnIssuersURL are under its alias.
func TestGrantsUnderAnIssuersURL(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	backend := basicAuth(acmeBackend, secret)
	r := k.put("/v1/grants/g1", `{"viewer":{"id":"u1","issuer":"idp-shared"},"type":"ticket","scope":{"all":true}}`, backend)
	k.want(r, http.StatusCreated, "")
	for _, target := range []string{"/v1/grants/g1", "/v1/grants?viewer=u1&issuer=shared", "/v1/grants?viewer=u1&issuer=idp-shared"} {
		if r := k.get(target, backend); !strings.Contains(r.body, `"viewer":{"issuer":"shared","id":"u1"}`) {
			t.Errorf("%s: %d %s", target, r.StatusCode, r.body)
		}
	}
	k.want(k.get("/v1/grants?viewer=u1&issuer=partner", backend), http.StatusBadRequest, playback.CodeInvalidField)
	// What was stored while it was configured is found, to be moved.
	if _, _, err := k.grants.Put(t.Context(), playback.Entitlement{
		Environment: acme, Issuer: "partner", Viewer: "u1",
		Held: playback.Held{ID: "old", Type: playback.HeldTicket, Scope: playback.Scope{Kind: playback.ScopeAll}},
	}); err != nil {
		t.Fatal(err)
	}
	if r := k.get("/v1/grants?viewer=u1&issuer=partner", backend); !strings.Contains(r.body, `"id":"old"`) {
		t.Errorf("of an issuer that is no longer configured: %d %s", r.StatusCode, r.body)
	}
}

func TestGrantsAreForBackendsOfTheirEnvironment(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.want(k.put("/v1/grants/g1", aRental, basicAuth(acmeBackend, secret)), http.StatusCreated, "")
	for _, c := range []struct {
		method, target, credential string
		status                     int
		code                       playback.Code
	}{
		{"GET", "/v1/grants/g1", "", http.StatusUnauthorized, playback.CodeMissingCredentials},
		{"GET", "/v1/grants/g1", bearer(acmeViewer), http.StatusForbidden, playback.CodeInsufficientPermissions},
		{"GET", "/v1/grants?viewer=u1", bearer(acmeViewer), http.StatusForbidden, playback.CodeInsufficientPermissions},
		{"GET", "/v1/grants/g1", basicAuth(acmeOperator, secret), http.StatusForbidden, playback.CodeInsufficientPermissions},
		{"DELETE", "/v1/grants/g1", basicAuth(acmeOperator, secret), http.StatusForbidden, playback.CodeInsufficientPermissions},
		{"GET", "/v1/grants/g1", basicAuth(globexBackend, secret) + "\r\nHost: " + globexHost, http.StatusNotFound, playback.CodeNotFound},
		{"DELETE", "/v1/grants/g1", basicAuth(globexBackend, secret) + "\r\nHost: " + globexHost, http.StatusNotFound, playback.CodeNotFound},
		{"POST", "/v1/grants/g1", basicAuth(acmeBackend, secret), http.StatusMethodNotAllowed, playback.CodeMethodNotAllowed},
		{"GET", "/v1/grants", basicAuth(acmeBackend, secret), http.StatusBadRequest, playback.CodeInvalidParam},
		{"GET", "/v1/grants?viewer=u1&viewer=u2", basicAuth(acmeBackend, secret), http.StatusBadRequest, playback.CodeInvalidParam},
		{"GET", "/v1/grants?viewer=%ff", basicAuth(acmeBackend, secret), http.StatusBadRequest, playback.CodeInvalidParam},
		{"GET", "/v1/grants?viewer=u%00", basicAuth(acmeBackend, secret), http.StatusBadRequest, playback.CodeInvalidParam},
		{"GET", "/v1/grants?viewer=u1&issuer=%7f", basicAuth(acmeBackend, secret), http.StatusBadRequest, playback.CodeInvalidParam},
		{"GET", "/v1/grants?viewer=" + strings.Repeat("x", 256), basicAuth(acmeBackend, secret), http.StatusBadRequest, playback.CodeInvalidParam},
		{"GET", "/v1/grants/..%2fg1", basicAuth(acmeBackend, secret), http.StatusNotFound, playback.CodeNotFound},
	} {
		var headers []string
		for line := range strings.SplitSeq(c.credential, "\r\n") {
			if line != "" {
				headers = append(headers, line)
			}
		}
		r := k.call(c.method, c.target, headers...)
		if r.StatusCode != c.status || r.code() != c.code {
			t.Errorf("%s %s with %.20q: %d %s, want %d %s", c.method, c.target, c.credential, r.StatusCode, r.code(), c.status, c.code)
		}
	}
	if r := k.get("/v1/grants/g1", basicAuth(acmeBackend, secret), "Origin: "+acmePage); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("management has CORS headers")
	}
}

func TestBodiesThatAreNoGrant(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for body, want := range map[string]string{
		`[]`: "", `{}`: "viewer.id", `{"viewer":{"id":"u1"},"type":"ticket"}`: "scope", `{"viewer":{"id":"u1"},"scope":{"all":true}}`: "type",
		`{"viewer":"u1","type":"ticket","scope":{"all":true}}`:                                          "viewer: want an object",
		`{"viewer":{"id":""},"type":"ticket","scope":{"all":true}}`:                                     "viewer.id",
		`{"viewer":{"id":"u\u0000"},"type":"ticket","scope":{"all":true}}`:                              "viewer.id",
		`{"viewer":{"id":"u1","issuer":"\n"},"type":"ticket","scope":{"all":true}}`:                     "viewer.issuer",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"tag":"\u0000"}}`:                               "scope.tag",
		`{"viewer":{"id":"u1","name":"x"},"type":"ticket","scope":{"all":true}}`:                        "viewer.name: is not known",
		`{"viewer":{"id":"u1"},"type":"gift","scope":{"all":true}}`:                                     "type: want one of subscription, purchase, rental, ticket",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":false}}`:                                  "scope.all: want true",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{}}`:                                             "scope",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"asset_id":"A1","tag":"x"}}`:                    "scope: want exactly one member",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"playlist":"x"}}`:                               "scope.playlist: is not known",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"asset_id":"a/b"}}`:                             "scope.asset_id",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":2,"until":1}`:                "until: is not after from",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":"2027-01-01"}`:               "from: want an integer",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":"2027-01-01T00:00:00"}`:      "from: want an integer",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":"2027-02-29T00:00:00Z"}`:     "from: want an integer",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":"1969-12-31T23:59:59Z"}`:     "from: is before 1970-01-01",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":"1800000000"}`:               "from: want an integer",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":true}`:                       "from: want an integer",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"until":1.5}`:                       "until: want an integer",
		`{"viewer":{"id":"u1","issuer":"sharde"},"type":"ticket","scope":{"all":true}}`:                 "viewer.issuer: is no issuer of this environment; did you mean shared?",
		`{"viewer":{"id":"u1","issuer":"partner"},"type":"ticket","scope":{"all":true}}`:                "viewer.issuer: is no issuer of this environment: want one of main, shared",
		`{"viewer":{"id":"u1","issuer":"idp-globex"},"type":"ticket","scope":{"all":true}}`:             "viewer.issuer: is no issuer of this environment",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"until":-1}`:                        "until",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"play_within":0}`:                   "play_within",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"play_within":"soon"}`:              "play_within",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"attributes":[1]}`:                  "attributes: want an object",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"first_play":1}`:                    "first_play: is set by the first play",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"type":"rental"}`:                   "type: is given twice",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"attributes":{"x":1e999}}`:          "attributes.x",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"id":"other"}`:                      "id: is not the ID in the path",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"attributes":{"a":{"b":1,"b":2}}}`:  "attributes.a.b: is given twice",
		`{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"attributes":{"a":"` + long + `"}}`: "attributes: is larger than 4096 bytes",
	} {
		r := k.put("/v1/grants/g1", body, basicAuth(acmeBackend, secret))
		if r.StatusCode != http.StatusBadRequest || r.code() != playback.CodeInvalidField || !strings.Contains(r.body, want) {
			t.Errorf("%.80s: %d %s", body, r.StatusCode, r.body)
		}
	}
	k.want(k.put("/v1/grants/a.b", aRental, basicAuth(acmeBackend, secret)), http.StatusBadRequest, playback.CodeInvalidField)
	k.want(k.put("/v1/grants/g1", `{"viewer"`, basicAuth(acmeBackend, secret)), http.StatusBadRequest, playback.CodeInvalidJSON)
	k.want(k.raw("PUT", message("PUT", "/v1/grants/g1", aRental, []string{basicAuth(acmeBackend, secret), "Content-Type: text/plain"})),
		http.StatusUnsupportedMediaType, playback.CodeUnsupportedMediaType)
	k.want(k.get("/v1/grants/g1", basicAuth(acmeBackend, secret)), http.StatusNotFound, playback.CodeNotFound)
}

var long = strings.Repeat("x", 5000)

// TestHEADBeginsNothing: the issuer is told, and what it withholds does not
// leave.
func TestHEADBeginsNothing(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		answer := granting(req, playback.PolicySigned)
		answer.Withheld = req.Passive
		return answer, nil
	})
	for _, target := range []string{"/stream/PID1.m3u8", "/license/widevine/PID1"} {
		got, head := k.get(target, bearer(acmeViewer)), k.call("HEAD", target, bearer(acmeViewer))
		if got.StatusCode != http.StatusFound || !strings.Contains(got.Header.Get("Location"), "?token=") {
			t.Errorf("GET %s = %d %s", target, got.StatusCode, got.Header.Get("Location"))
		}
		if head.StatusCode != http.StatusFound || strings.Contains(head.Header.Get("Location"), "token") || !strings.HasPrefix(got.Header.Get("Location"), head.Header.Get("Location")) {
			t.Errorf("HEAD %s = %d %s", target, head.StatusCode, head.Header.Get("Location"))
		}
	}
	if !k.issuer.last(t).Passive {
		t.Error("the issuer was not told that HEAD asks")
	}
	k.post("/v1/tokens", `{"playback_id":"PID1"}`, bearer(acmeViewer))
	if k.issuer.last(t).Passive {
		t.Error("POST is passive")
	}
}
