package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
)

// TestABackendNamesTheIssuerOfItsViewer by its alias, by its URL or not at all,
// wherever a body has a viewer.
func TestABackendNamesTheIssuerOfItsViewer(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	backend := basicAuth(acmeBackend, secret)
	for viewer, want := range map[string]string{
		`{"id":"u1","issuer":"shared"}`:     "shared",
		`{"id":"u1","issuer":"idp-shared"}`: "shared",
		`{"id":"u1","issuer":"idp-acme"}`:   "main",
		`{"id":"u1","issuer":null}`:         "main",
		`{"id":"u1"}`:                       "main",
		`{"issuer":"shared"}`:               "", // anonymous
		`{}`:                                "",
	} {
		body := `{"playback_id":"PID1","viewer":` + viewer + `}`
		for target, body := range map[string]string{"/v1/tokens": body, "/v1/tokens/batch": `{"requests":[` + body + `]}`} {
			k.want(k.post(target, body, backend), http.StatusOK, "")
			if got := k.issuer.last(t).Viewer.Issuer; got != want {
				t.Errorf("%s %s: viewer.issuer is %q, want %q", target, viewer, got, want)
			}
		}
	}
	before := k.issuer.count()
	wrong := `{"playback_id":"PID1","viewer":{"id":"u1","issuer":"mian"}}`
	k.want(k.post("/v1/tokens", wrong, backend), http.StatusBadRequest, playback.CodeInvalidField)
	k.want(k.post("/v1/explain", wrong, basicAuth(acmeOperator, secret)), http.StatusBadRequest, playback.CodeInvalidField)
	if r := k.post("/v1/tokens/batch", `{"requests":[`+wrong+`]}`, backend); !strings.Contains(r.body, "requests[0].viewer.issuer: is no issuer of this environment; did you mean main?") {
		t.Errorf("batch: %d %s", r.StatusCode, r.body)
	}
	if k.issuer.count() != before {
		t.Error("the issuer was asked")
	}
}
