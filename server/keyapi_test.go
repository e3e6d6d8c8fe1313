package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/tenant"
)

// fakeManager keeps acme's keys, and remembers what it was asked to do.
type fakeManager struct {
	mu     sync.Mutex
	keys   []server.SigningKey
	orders []string
	// refusal is what every order gets, if set.
	refusal error
}

func newFakeManager() *fakeManager {
	at := func(n int64) time.Time { return time.Unix(1_800_000_000+n, 0) }
	return &fakeManager{keys: []server.SigningKey{
		{ID: "NEW", State: "prepared", CreatedAt: at(30), DeletableAt: at(30)},
		{ID: "OLD", State: "retired", CreatedAt: at(10), ActivatedAt: at(11), RetiredAt: at(21), LastExpiry: at(90), DeletableAt: at(90), External: true},
		{ID: "AGELESS", State: "active"},
		{ID: "MID", State: "retired", CreatedAt: at(20)},
	}}
}

func (f *fakeManager) List(_ context.Context, env playback.EnvironmentID) ([]server.SigningKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if env != acme {
		return nil, f.refusal
	}
	return f.keys, f.refusal
}

// order notes an order and returns the key that it is about.
func (f *fakeManager) order(ctx context.Context, what string, o server.KeyOrder) (server.SigningKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Minute {
		return server.SigningKey{}, errors.New("the order has no deadline")
	}
	f.orders = append(f.orders, fmt.Sprintf("%s %s of %s by %s for %s, %v %q", what, o.ID, o.Environment, o.By, o.RequestID, o.Force, o.Reason))
	if f.refusal != nil {
		return server.SigningKey{}, f.refusal
	}
	for _, k := range f.keys {
		if o.Environment == acme && k.ID == o.ID {
			return k, nil
		}
	}
	return server.SigningKey{}, playback.Errorf(playback.CodeNotFound, "There is no such key.")
}

func (f *fakeManager) Create(ctx context.Context, o server.KeyOrder) (server.SigningKey, playback.Secret, error) {
	o.ID = "NEW"
	k, err := f.order(ctx, "create", o)
	return k, playback.NewSecret("c2VjcmV0"), err
}

func (f *fakeManager) Activate(ctx context.Context, o server.KeyOrder) (server.SigningKey, error) {
	return f.order(ctx, "activate", o)
}

func (f *fakeManager) Retire(ctx context.Context, o server.KeyOrder) (server.SigningKey, error) {
	return f.order(ctx, "retire", o)
}

func (f *fakeManager) Delete(ctx context.Context, o server.KeyOrder) error {
	_, err := f.order(ctx, "delete", o)
	return err
}

func (f *fakeManager) refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal = err
}

// ordered returns the orders since it was last asked.
func (f *fakeManager) ordered() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.orders
	f.orders = nil
	return out
}

const muxKeysPath = "/system/v1/signing-keys"

// olderKeysPath is where Mux's SDKs up to version 7 have the same.
const olderKeysPath = "/video/v1/signing-keys"

func operator() string { return basicAuth(acmeOperator, secret) }

func TestMuxsKeyAPI(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	list := func(ids ...string) string {
		created := map[string]string{"AGELESS": "0", "OLD": "1800000010", "MID": "1800000020", "NEW": "1800000030"}
		for i, id := range ids {
			ids[i] = `{"id":"` + id + `","created_at":"` + created[id] + `"}`
		}
		return `{"data":[` + strings.Join(ids, ",") + `]}`
	}
	type call struct {
		method, target string
		status         int
		body           string
		order          string
	}
	calls := []call{
		{"GET", muxKeysPath, 200, list("AGELESS", "OLD", "MID", "NEW"), ""},
		{"HEAD", muxKeysPath, 200, "", ""},
		{"GET", muxKeysPath + "?page=1&limit=3&timeframe=x", 200, list("AGELESS", "OLD", "MID"), ""},
		{"GET", muxKeysPath + "?page=2&limit=3", 200, list("NEW"), ""},
		{"GET", muxKeysPath + "?page=3&limit=3", 200, list(), ""},
		{"GET", muxKeysPath + "?page=1048576&limit=100", 200, list(), ""},
		{"GET", muxKeysPath + "/OLD", 200, `{"data":{"id":"OLD","created_at":"1800000010"}}`, ""},
		{"POST", muxKeysPath, 201, `{"data":{"id":"NEW","created_at":"1800000030","private_key":"c2VjcmV0"}}`, "create NEW"},
		{"DELETE", muxKeysPath + "/OLD", 204, "", "delete OLD"},
		{
			"GET", "/system/v1/whoami", 200, `{"data":{"access_token_name":"ops","environment_id":"acme-prod","environment_name":"Production",` +
				`"environment_type":"production","organization_id":"acme","organization_name":"Acme","permissions":["system:read","system:write"]}}`, "",
		},
		{
			"GET", "/v1/signing-keys", 200, `{"data":[` +
				`{"id":"AGELESS","state":"active","created_at":null,"activated_at":null,"retired_at":null,"last_expiry":null,"deletable_at":null,"external":false},` +
				`{"id":"OLD","state":"retired","created_at":1800000010,"activated_at":1800000011,"retired_at":1800000021,"last_expiry":1800000090,"deletable_at":1800000090,"external":true},` +
				`{"id":"MID","state":"retired","created_at":1800000020,"activated_at":null,"retired_at":null,"last_expiry":null,"deletable_at":null,"external":false},` +
				`{"id":"NEW","state":"prepared","created_at":1800000030,"activated_at":null,"retired_at":null,"last_expiry":null,"deletable_at":1800000030,"external":false}]}`, "",
		},
		{
			"POST", "/v1/signing-keys/NEW/activate", 200,
			`{"data":{"id":"NEW","state":"prepared","created_at":1800000030,"activated_at":null,"retired_at":null,"last_expiry":null,"deletable_at":1800000030,"external":false}}`, "activate NEW",
		},
		{
			"POST", "/v1/signing-keys/MID/retire", 200,
			`{"data":{"id":"MID","state":"retired","created_at":1800000020,"activated_at":null,"retired_at":null,"last_expiry":null,"deletable_at":null,"external":false}}`, "retire MID",
		},
	}
	for _, c := range calls {
		if rest, ok := strings.CutPrefix(c.target, muxKeysPath); ok {
			c.target = olderKeysPath + rest
			calls = append(calls, c)
		}
	}
	for _, c := range calls {
		// A page's Origin changes nothing: it gets no CORS header.
		r := k.call(c.method, c.target, operator(), "X-Request-Id: rq", "Origin: "+acmePage)
		if r.StatusCode != c.status || r.body != c.body {
			t.Errorf("%s %s: answered %d %s\nwant %d %s", c.method, c.target, r.StatusCode, r.body, c.status, c.body)
		}
		checkAnswer(t, r)
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
				t.Errorf("%s %s: answered with %s", c.method, c.target, name)
			}
		}
		var want []string
		if c.order != "" {
			want = []string{c.order + " of acme-prod by " + acmeOperator + ` for rq, false ""`}
		}
		diff(t, c.method+" "+c.target+": ordered", k.keys.ordered(), want)
	}
	if log := k.log.text(); strings.Contains(log, "c2VjcmV0") {
		t.Errorf("a private key is in the log: %s", log)
	}
}

func TestKeyAPIRefusals(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const one = muxKeysPath + "/OLD"
	json := "Content-Type: application/json"
	for _, c := range []struct {
		method, target, body string
		headers              []string
		status               int
		code                 playback.Code
	}{
		{"GET", muxKeysPath, "", nil, 401, playback.CodeMissingCredentials},
		{"GET", muxKeysPath, "", []string{basicAuth(acmeOperator, "wrong")}, 401, playback.CodeInvalidCredentials},
		{"GET", "/system/v1/whoami", "", nil, 401, playback.CodeMissingCredentials},
		// An environment that admits anonymous viewers does not admit anonymous operators.
		{"GET", muxKeysPath, "", []string{"Host: " + globexHost}, 401, playback.CodeMissingCredentials},
		{"GET", muxKeysPath, "", []string{"Host: other.example"}, 400, playback.CodeEnvironmentUnresolved},
		{"GET", muxKeysPath, "", []string{"Host: " + globexHost, operator()}, 401, playback.CodeInvalidCredentials},
		// Viewers manage nothing, whatever carries their token.
		{"GET", muxKeysPath, "", []string{bearer(acmeViewer)}, 403, playback.CodeInsufficientPermissions},
		{"GET", olderKeysPath, "", nil, 401, playback.CodeMissingCredentials},
		{"POST", olderKeysPath, "", []string{basicAuth(acmeBackend, secret)}, 403, playback.CodeInsufficientPermissions},
		{"DELETE", olderKeysPath + "/OLD", "", []string{basicAuth(noRights, secret)}, 403, playback.CodeInsufficientPermissions},
		{"GET", "/system/v1/whoami", "", []string{bearer(acmeViewer)}, 403, playback.CodeInsufficientPermissions},
		{"POST", muxKeysPath, "", []string{"Cookie: vc=" + acmeViewer}, 403, playback.CodeCrossSite},
		{"POST", muxKeysPath, "", []string{"Cookie: vc=" + acmeViewer, "Origin: " + acmePage}, 403, playback.CodeInsufficientPermissions},
		{"GET", muxKeysPath + "?vt=" + acmeViewer, "", nil, 401, playback.CodeMissingCredentials},
		// Reading is not writing, and video is not system.
		{"GET", muxKeysPath, "", []string{basicAuth(acmeBackend, secret)}, 403, playback.CodeInsufficientPermissions},
		{"POST", muxKeysPath, "", []string{basicAuth(noRights, secret)}, 403, playback.CodeInsufficientPermissions},
		{"DELETE", one, "", []string{basicAuth(noRights, secret)}, 403, playback.CodeInsufficientPermissions},
		{"POST", "/v1/signing-keys/OLD/retire", "", []string{basicAuth(noRights, secret)}, 403, playback.CodeInsufficientPermissions},
		{"GET", "/v1/signing-keys", "", []string{basicAuth(acmeBackend, secret)}, 403, playback.CodeInsufficientPermissions},
		{"GET", aToken, "", []string{operator()}, 403, playback.CodeInsufficientPermissions},
		// A browser remembers Basic and would send it for any page.
		{"POST", muxKeysPath, "", []string{operator(), "Sec-Fetch-Site: cross-site"}, 403, playback.CodeCrossSite},
		{"DELETE", one, "", []string{operator(), "Sec-Fetch-Site: same-site"}, 403, playback.CodeCrossSite},
		// Lists.
		{"GET", muxKeysPath + "?page=0", "", []string{operator()}, 400, playback.CodeInvalidParam},
		{"GET", muxKeysPath + "?page=-1", "", []string{operator()}, 400, playback.CodeInvalidParam},
		{"GET", muxKeysPath + "?page=1e3", "", []string{operator()}, 400, playback.CodeInvalidParam},
		{"GET", muxKeysPath + "?limit=101", "", []string{operator()}, 400, playback.CodeInvalidParam},
		{"GET", muxKeysPath + "?limit=", "", []string{operator()}, 400, playback.CodeInvalidParam},
		{"GET", muxKeysPath + "?limit=%zz", "", []string{operator()}, 400, playback.CodeInvalidParam},
		{"GET", muxKeysPath + "?page=99999999999999999999", "", []string{operator()}, 400, playback.CodeInvalidParam},
		{"GET", muxKeysPath + "?page=1&page=1", "", []string{operator()}, 400, playback.CodeInvalidParam},
		// Keys that are not there.
		{"GET", muxKeysPath + "/NONE", "", []string{operator()}, 404, playback.CodeNotFound},
		{"DELETE", muxKeysPath + "/NONE", "", []string{operator()}, 404, playback.CodeNotFound},
		{"POST", "/v1/signing-keys/NONE/activate", "", []string{operator()}, 404, playback.CodeNotFound},
		{"GET", muxKeysPath + "/..", "", []string{operator()}, 404, playback.CodeNotFound},
		{"DELETE", muxKeysPath + "/%4FLD", "", []string{operator()}, 404, playback.CodeNotFound},
		{"POST", "/v1/signing-keys/" + strings.Repeat("a", 129) + "/retire", "", []string{operator()}, 404, playback.CodeNotFound},
		{"GET", muxKeysPath + "/", "", []string{operator()}, 404, playback.CodeNotFound},
		{"GET", one, "", []string{"Host: stream." + acmeHost, operator()}, 404, playback.CodeNotFound},
		{"PUT", one, "", []string{operator()}, 405, playback.CodeMethodNotAllowed},
		{"DELETE", "/v1/signing-keys/OLD/retire", "", []string{operator()}, 405, playback.CodeMethodNotAllowed},
		// The body of a deletion.
		{"DELETE", one, `{"force":true,"reason":"leaked"}`, []string{operator()}, 415, playback.CodeUnsupportedMediaType},
		{"DELETE", one, `{"force":true`, []string{operator(), json}, 400, playback.CodeInvalidJSON},
		{"DELETE", one, `[]`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{}x`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{"force":"yes","reason":"leaked"}`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{"force":true}`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{"force":true,"reason":" "}`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{"force":true,"reason":7}`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{"force":true,"reason":"` + strings.Repeat("x", 1025) + `"}`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{"force":true,"force":true,"reason":"x"}`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, `{"forced":true}`, []string{operator(), json}, 400, playback.CodeInvalidField},
		{"DELETE", one, strings.Repeat(" ", 64<<10+1), []string{operator(), json}, 413, playback.CodePayloadTooLarge},
	} {
		r := k.raw(c.method, message(c.method, c.target, c.body, append([]string(nil), c.headers...)))
		if r.StatusCode != c.status || r.code() != c.code {
			t.Errorf("%s %s %q %.60s: answered %d %s, want %d %s", c.method, c.target, c.headers, c.body, r.StatusCode, r.body, c.status, c.code)
		}
		checkAnswer(t, r)
		if r.StatusCode == 401 {
			diff(t, c.method+" "+c.target+": WWW-Authenticate", r.Header.Get("Www-Authenticate"), `Basic realm="playgate"`)
		}
		for _, order := range k.keys.ordered() {
			if r.StatusCode != 404 {
				t.Errorf("%s %s: refused with %d, but ordered: %s", c.method, c.target, r.StatusCode, order)
			}
		}
	}
}

func TestForcedDeletionCarriesItsReason(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for body, want := range map[string]string{
		`{"force":true,"reason":" it leaked "}`: `true "it leaked"`,
		`{"force":false,"reason":"no need"}`:    `false "no need"`,
		`{"force":null,"reason":null}`:          `false ""`,
		`{}`:                                    `false ""`,
	} {
		r := k.raw("DELETE", message("DELETE", muxKeysPath+"/OLD", body, []string{operator(), "Content-Type: application/json"}))
		if r.StatusCode != 204 {
			t.Errorf("%s: answered %d %s", body, r.StatusCode, r.body)
		}
		if orders := k.keys.ordered(); len(orders) != 1 || !strings.HasSuffix(orders[0], want) {
			t.Errorf("%s: ordered %q, want %s", body, orders, want)
		}
	}
}

func TestWhatTheManagerRefuses(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	inUse := playback.Errorf(playback.CodeKeyInUse, "Wait.")
	inUse.DeletableAt = time.Unix(1_900_000_123, 0)
	for _, c := range []struct {
		err    error
		status int
		code   playback.Code
		retry  string // X-Should-Retry, which Mux's SDKs obey
		at     string
	}{
		{inUse, 409, playback.CodeKeyInUse, "false", "1900000123"},
		{fmt.Errorf("deleting: %w", inUse), 409, playback.CodeKeyInUse, "false", "1900000123"},
		{playback.Errorf(playback.CodeKeyActive, "No."), 409, playback.CodeKeyActive, "false", ""},
		{playback.Errorf(playback.CodeKeyNotReady, "No."), 409, playback.CodeKeyNotReady, "false", ""},
		{playback.Errorf(playback.CodeKeyState, "No."), 409, playback.CodeKeyState, "false", ""},
		{playback.Errorf(playback.CodeKeyBusy, "Later."), 409, playback.CodeKeyBusy, "false", ""},
		{playback.Errorf(playback.CodeDependencyUnavailable, "Later.").After(3 * time.Second), 503, playback.CodeDependencyUnavailable, "", ""},
		{errors.New("hunter2"), 500, playback.CodeInternalError, "", ""},
	} {
		k.keys.refuse(c.err)
		for _, request := range [][2]string{
			{"POST", muxKeysPath},
			{"DELETE", muxKeysPath + "/OLD"},
			{"GET", muxKeysPath},
			{"GET", muxKeysPath + "/OLD"},
			{"POST", olderKeysPath},
			{"DELETE", olderKeysPath + "/OLD"},
			{"GET", "/v1/signing-keys"},
			{"POST", "/v1/signing-keys/OLD/activate"},
			{"POST", "/v1/signing-keys/OLD/retire"},
		} {
			r := k.call(request[0], request[1], operator())
			k.want(r, c.status, c.code)
			diff(t, "X-Should-Retry", r.Header.Get("X-Should-Retry"), c.retry)
			at, _ := r.decode(t)["error"].(map[string]any)["deletable_at"].(string)
			diff(t, "deletable_at", at, c.at)
			if strings.Contains(r.body, "hunter2") {
				t.Errorf("the cause reached the client: %s", r.body)
			}
		}
	}
}

func TestPreflightOfTheKeyAPIGetsNoCORS(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for target, allow := range map[string]string{
		muxKeysPath:                     "GET, HEAD, POST, OPTIONS",
		muxKeysPath + "/OLD":            "GET, HEAD, DELETE, OPTIONS",
		olderKeysPath:                   "GET, HEAD, POST, OPTIONS",
		olderKeysPath + "/OLD":          "GET, HEAD, DELETE, OPTIONS",
		"/system/v1/whoami":             "GET, HEAD, OPTIONS",
		"/v1/signing-keys":              "GET, HEAD, OPTIONS",
		"/v1/signing-keys/OLD/activate": "POST, OPTIONS",
		"/v1/signing-keys/OLD/retire":   "POST, OPTIONS",
	} {
		r := k.call("OPTIONS", target, "Origin: "+acmePage, "Access-Control-Request-Method: POST")
		if r.StatusCode != 204 || r.Header.Get("Allow") != allow || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", target, r.StatusCode, r.Header)
		}
	}
}

// TestKeysOfOneEnvironmentAreNotThoseOfAnother: the environment is the access
// token's, whatever the path names.
func TestKeysOfOneEnvironmentAreNotThoseOfAnother(t *testing.T) {
	t.Parallel()
	organizations := tenants()
	globexTokens := &organizations[1].Environments[0].AccessTokens
	*globexTokens = append(slices.Clone(*globexTokens), tenant.AccessToken{
		ID: "other", Permissions: tenant.PermissionsOf(tenant.SystemRead, tenant.SystemWrite), Secret: tenant.HashSecret(secret),
	})
	k := start(t, options{tenants: organizations})
	other, host := basicAuth("other", secret), "Host: "+globexHost
	if r := k.get(muxKeysPath, other, host); r.body != `{"data":[]}` {
		t.Errorf("listed: %s", r.body)
	}
	k.want(k.get(muxKeysPath+"/OLD", other, host), 404, playback.CodeNotFound)
	k.want(k.call("DELETE", muxKeysPath+"/OLD", other, host), 404, playback.CodeNotFound)
	for _, order := range k.keys.ordered() {
		if !strings.Contains(order, "of "+string(globex)) {
			t.Errorf("ordered: %s", order)
		}
	}
}

// TestManyKeysTurnIntoPages walks as Mux's SDKs do: until a page is empty.
func TestManyKeysTurnIntoPages(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.keys.keys = nil
	for n := range 60 {
		k.keys.keys = append(k.keys.keys, server.SigningKey{ID: playback.KeyID("K" + strconv.Itoa(n)), CreatedAt: time.Unix(int64(1000+n), 0)})
	}
	var sizes []int
	seen := map[string]bool{}
	for page := 1; page < 10; page++ {
		items := k.get(muxKeysPath+"?page="+strconv.Itoa(page), operator()).decode(t)["data"].([]any)
		sizes = append(sizes, len(items))
		for _, item := range items {
			seen[item.(map[string]any)["id"].(string)] = true
		}
		if len(items) == 0 {
			break
		}
	}
	diff(t, "sizes of the pages", sizes, []int{25, 25, 10, 0})
	diff(t, "keys seen", len(seen), 60)
}
