package server_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// The stages of contract §8, in their order. Each violates one thing of a
// request, on its own.
type violation struct {
	name   string
	status int
	code   playback.Code
	// apply makes the request violate it.
	apply func(*wrong)
}

// wrong is a POST /v1/tokens that is to be refused.
type wrong struct {
	method, target string
	contentType    string
	body           string
	host           string
	credential     []string
	origin         string
	padding        int
	spendIP        bool // the address has spent its limit
	spendCaller    bool // the caller has
	issuer         error
}

func violations() []violation {
	cookie := func(token string) []string { return []string{"Cookie: vc=" + token} }
	return []violation{
		{"route", 404, playback.CodeNotFound, func(w *wrong) { w.target = "/v1/nowhere" }},
		{"body size", 413, playback.CodePayloadTooLarge, func(w *wrong) { w.padding = 70 << 10 }},
		{"address's limit", 429, playback.CodeRateLimited, func(w *wrong) { w.spendIP = true }},
		{"credential", 401, playback.CodeInvalidCredentials, func(w *wrong) { w.credential = []string{"Authorization: Bearer junk"} }},
		{"environment", 400, playback.CodeEnvironmentUnresolved, func(w *wrong) { w.host = "other.example"; w.credential = nil }},
		{"cross-site", 403, playback.CodeCrossSite, func(w *wrong) { w.credential = cookie(acmeViewer); w.origin = "https://evil.example" }},
		{"caller's limit", 429, playback.CodeRateLimited, func(w *wrong) { w.spendCaller = true }},
		{"permission", 403, playback.CodeInsufficientPermissions, func(w *wrong) { w.credential = []string{basicAuth(noRights, secret)} }},
		{"media type", 415, playback.CodeUnsupportedMediaType, func(w *wrong) { w.contentType = "text/plain" }},
		{"malformed body", 400, playback.CodeInvalidJSON, func(w *wrong) { w.body = `{` }},
		{"field", 400, playback.CodeInvalidField, func(w *wrong) { w.body = `{"playback_id":"P","what":1}` }},
		{"playback ID grammar", 400, playback.CodeInvalidPlaybackID, func(w *wrong) { w.body = `{"playback_id":"a-b"}` }},
		{"parameter", 400, playback.CodeUnknownParam, func(w *wrong) { w.body = `{"playback_id":"P","params":{"video":{"x":1}}}` }},
		{"issuer", 404, playback.CodeUnknownPlaybackID, func(w *wrong) { w.issuer = playback.Errorf(playback.CodeUnknownPlaybackID, "No.") }},
	}
}

func (w *wrong) send(k *kit) response {
	k.t.Helper()
	var headers []string
	if w.host != "" {
		headers = append(headers, "Host: "+w.host)
	}
	headers = append(headers, w.credential...)
	if w.origin != "" {
		headers = append(headers, "Origin: "+w.origin)
	}
	headers = append(headers, "Content-Type: "+w.contentType)
	return k.raw(w.method, message(w.method, w.target, w.body+strings.Repeat(" ", w.padding), headers))
}

func newWrong() *wrong {
	return &wrong{
		method: "POST", target: "/v1/tokens", contentType: "application/json", body: `{"playback_id":"P"}`,
		credential: []string{bearer(acmeViewer)},
	}
}

// TestTheFirstFailureAnswers sends, for every pair of stages that one request
// can violate at once, a request that violates both.
func TestTheFirstFailureAnswers(t *testing.T) {
	t.Parallel()
	all := violations()
	for i, first := range all {
		for j, second := range all[i:] {
			name := first.name + " before " + second.name
			w := newWrong()
			second.apply(w)
			first.apply(w)
			if j > 0 && !compatible(first, second) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				k := start(t, options{tenants: limited()})
				if w.issuer != nil {
					k.issuer.answers(refusing(w.issuer))
				}
				spend(k, w)
				k.want(w.send(k), first.status, first.code)
			})
		}
	}
}

// compatible reports whether one request can violate both: a later stage often
// needs what an earlier violation takes away (there is one body, and one
// credential).
func compatible(first, second violation) bool {
	same := func(names ...string) bool {
		n := 0
		for _, name := range names {
			if first.name == name || second.name == name {
				n++
			}
		}
		return n == 2
	}
	return !same("credential", "environment") && !same("credential", "cross-site") && !same("environment", "cross-site") &&
		!same("environment", "permission") && !same("environment", "caller's limit") && !same("cross-site", "permission") && !same("credential", "permission") &&
		!same("credential", "caller's limit") && !same("address's limit", "permission") && !same("address's limit", "environment") &&
		!same("malformed body", "field") && !same("malformed body", "playback ID grammar") && !same("malformed body", "parameter") &&
		!same("field", "playback ID grammar") && !same("field", "parameter") && !same("playback ID grammar", "parameter")
}

// limited is tenants with limits that one request spends.
func limited() []tenant.Organization {
	o := tenants()
	o[0].Environments[0].RateLimits = tenant.RateLimits{Viewer: "20-H", IP: "10-H", AccessToken: "20-H"}
	return o
}

func spend(k *kit, w *wrong) {
	k.t.Helper()
	if w.spendCaller {
		for i := range 2 {
			k.from([]string{"192.0.2.1", "192.0.2.2"}[i])
			credential := w.credential
			if strings.HasPrefix(credential[0], "Cookie") {
				credential = []string{bearer(acmeViewer)}
			}
			for range 10 {
				k.call("POST", "/v1/tokens", credential...)
			}
		}
		k.from("198.51.100.7")
	}
	if w.spendIP {
		for range 10 {
			k.call("POST", "/v1/tokens", "Authorization: Bearer junk")
		}
	}
}

func TestTheFirstFailureAnswersWhereTheCredentialIsPartOfBoth(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const target = "/v1/playback-ids/P/token"
	evil := "Origin: https://evil.example"
	k.want(k.get(target, "Host: other.example", bearer("junk")), 401, playback.CodeInvalidCredentials)
	k.want(k.get(target, "Cookie: vc=junk", evil), 401, playback.CodeInvalidCredentials)
	k.want(k.get(target, "Host: other.example", "Cookie: vc="+sharedViewer, evil), 400, playback.CodeEnvironmentUnresolved)
	k.want(k.get(target, "Cookie: vc="+sharedViewer, evil), 403, playback.CodeCrossSite)
}

// TestTheFirstMistakeOfABodyAnswers covers the pairs of one body's mistakes.
func TestTheFirstMistakeOfABodyAnswers(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for body, code := range map[string]playback.Code{
		`{"playback_id":"P","what":1,}`:                                                      playback.CodeInvalidJSON,
		`{"playback_id":"a-b","what":1}`:                                                     playback.CodeInvalidField,
		`{"playback_id":"a-b","types":["movie"]}`:                                            playback.CodeInvalidPlaybackID,
		`{"playback_id":"a-b","types":["video"],"params":{"gif":{}}}`:                        playback.CodeInvalidField,
		`{"playback_id":"P","types":["movie"],"params":{"movie":{"x":1}}}`:                   playback.CodeUnknownType,
		`{"playback_id":"P","types":["movie"],"params":{"gif":{"x":1}}}`:                     playback.CodeInvalidField,
		`{"playback_id":"P","types":["movie","video"],"params":{"video":{"exp":1}}}`:         playback.CodeUnknownType,
		`{"playback_id":"P","types":["thumbnail"],"params":{"thumbnail":{"x":1,"width":0}}}`: playback.CodeUnknownParam,
	} {
		k.want(k.post("/v1/tokens", body, basicAuth(acmeBackend, secret)), 400, code)
	}
}

func TestMethodComesBeforeEverything(t *testing.T) {
	t.Parallel()
	k := start(t, options{tenants: limited()})
	for range 20 {
		r := k.raw("PUT", message("PUT", "/v1/tokens", strings.Repeat("x", 70<<10), []string{"Authorization: Bearer junk"}))
		k.want(r, 405, playback.CodeMethodNotAllowed)
	}
}

// TestTheIssuersStagesKeepTheirAnswer shows that whatever the issuer refuses
// with passes through as it is.
func TestTheIssuersStagesKeepTheirAnswer(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for code, status := range map[playback.Code]int{
		playback.CodeUnknownPlaybackID: 404, playback.CodeNoSignedPlaybackID: 404, playback.CodeTypeUnavailable: 400,
		playback.CodeNoMatchingRule: 403, playback.CodePolicyError: 403, playback.CodeTypeNotGranted: 403, playback.CodeParamNotGranted: 403,
		playback.CodeAssetNotReady: 412, playback.CodeLiveStreamDisabled: 412, playback.CodeMinTTLTooLong: 400,
		playback.CodeSigningOverloaded: 503, playback.CodeNoActiveKey: 503, "embargo": 403,
	} {
		err := playback.Errorf(code, "No.")
		if status == 403 && code == "embargo" {
			err = playback.Denied(code)
		}
		k.issuer.answers(refusing(err))
		for _, r := range []response{
			k.post("/v1/tokens", `{"playback_id":"P"}`, bearer(acmeViewer)),
			k.get("/v1/playback-ids/P/token", bearer(acmeViewer)),
			k.get("/v1/playback-ids/P/tokens", bearer(acmeViewer)),
			k.get("/stream/P.m3u8", bearer(acmeViewer)),
		} {
			k.want(r, status, code)
			if r.Header.Get("X-Playgate-Cache") != "" {
				t.Error("X-Playgate-Cache on a refusal")
			}
		}
	}
}

// TestTheIssuersContextEnds looks at the context from where a signer would: a
// wait, a child, a goroutine that outlives the answer.
func TestTheIssuersContextEnds(t *testing.T) {
	t.Parallel()
	t.Run("after five seconds", func(t *testing.T) {
		t.Parallel()
		k := start(t, options{})
		k.issuer.answers(func(ctx context.Context, _ *issuer.Environment, _ *issuer.Request) (*issuer.Answer, error) {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			<-child.Done()
			return nil, child.Err()
		})
		batch := `{"requests":[` + strings.TrimSuffix(strings.Repeat(`{"playback_id":"P"},`, 20), ",") + `]}`
		conns := []net.Conn{ // a batch of twenty waits no longer than one
			k.begin(k.listener.Dial, message("GET", aToken, "", []string{bearer(acmeViewer)})),
			k.begin(k.listener.Dial, message("POST", "/v1/tokens/batch", batch, []string{bearer(acmeViewer), "Content-Type: application/json"})),
		}
		for _, conn := range conns {
			r := k.read("GET", bufio.NewReader(conn))
			_ = conn.Close()
			if !strings.Contains(r.body, "signing_overloaded") {
				t.Errorf("answered %d %s", r.StatusCode, r.body)
			}
		}
	})
	t.Run("with the answer", func(t *testing.T) {
		t.Parallel()
		k := start(t, options{})
		var kept context.Context
		k.issuer.answers(func(ctx context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
			kept = ctx
			if ctx.Err() != nil || ctx.Value("x") != nil {
				t.Error("the context has ended, or carries something")
			}
			return granting(req, playback.PolicySigned), nil
		})
		k.want(k.get(aToken, bearer(acmeViewer)), 200, "")
		<-kept.Done()
		if err := kept.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("Err() = %v, want canceled", err)
		}
		k.issuer.answers(nil)
		for range 20 { // whose calls are pooled
			k.want(k.get(aToken, bearer(acmeViewer)), 200, "")
		}
		if err := kept.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("after other requests Err() = %v, want canceled", err)
		}
	})
}

func TestAnIssuerThatTakesTooLongIsOverloaded(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(ctx context.Context, _ *issuer.Environment, _ *issuer.Request) (*issuer.Answer, error) {
		if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
			t.Error("the context has no deadline, or has ended")
		}
		return nil, context.DeadlineExceeded
	})
	r := k.get("/v1/playback-ids/P/token", bearer(acmeViewer))
	k.want(r, 503, playback.CodeSigningOverloaded)
	diff(t, "Retry-After", r.Header.Get("Retry-After"), "1")
}
