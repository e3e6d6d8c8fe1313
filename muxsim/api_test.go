package muxsim_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/muxsim"
)

// newAPI is a simulated Mux with an API that two tokens of environment one may
// use, the second only for reading, and one of environment two.
func newAPI(tb testing.TB) *edge {
	tb.Helper()
	c := &clock{now: start()}
	both := []string{"system:read", "system:write"}
	sim, err := muxsim.New(muxsim.Config{
		Now: c.Now,
		Environments: []muxsim.Environment{
			{
				ID: "one", Name: "Production", Organization: "org", OrganizationName: "Org",
				Keys:        map[muxsim.KeyID]*rsa.PublicKey{"K1": &keys()[0].PublicKey},
				PlaybackIDs: []muxsim.PlaybackID{{ID: "Film", Policy: muxsim.Signed, Asset: "assetFilm"}},
				AccessTokens: []muxsim.AccessToken{
					{ID: "writer", Secret: "s1", Name: "backend", Permissions: both},
					{ID: "reader", Secret: "s2", Permissions: both[:1]},
				},
			},
			{ID: "two", AccessTokens: []muxsim.AccessToken{{ID: "other", Secret: "s3", Permissions: both}}},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return &edge{sim, c}
}

// ask asks the API and decodes its answer into v.
func (e *edge) ask(tb testing.TB, token, method, target string, v any) *httptest.ResponseRecorder {
	tb.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(tb.Context(), method, "http://api.example"+target, http.NoBody)
	if id, secret, ok := strings.Cut(token, ":"); ok {
		request.SetBasicAuth(id, secret)
	}
	e.ServeHTTP(recorder, request)
	if v != nil {
		if err := json.Unmarshal(recorder.Body.Bytes(), v); err != nil {
			tb.Fatalf("%s %s = %d %q: %v", method, target, recorder.Code, recorder.Body, err)
		}
	}
	return recorder
}

const (
	writer   = "writer:s1"
	reader   = "reader:s2"
	other    = "other:s3"
	keysPath = "/system/v1/signing-keys"
)

type keyAnswer struct {
	Data map[string]string
}

type listAnswer struct {
	Data []map[string]string
}

func TestAKeyOfTheAPIOpensUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	e := newAPI(t)
	var made keyAnswer
	if r := e.ask(t, writer, http.MethodPost, keysPath, &made); r.Code != http.StatusCreated || r.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Fatalf("created: %d %v", r.Code, r.Header())
	}
	id := made.Data["id"]
	text, err := base64.StdEncoding.DecodeString(made.Data["private_key"])
	if err != nil || made.Data["created_at"] != strconv.FormatInt(start().Unix(), 10) || len(made.Data) != 3 {
		t.Fatalf("created %v: %v", made, err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "RSA PRIVATE KEY" {
		t.Fatal("the private key is no PKCS#1 PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil || key.N.BitLen() != 2048 {
		t.Fatal(err)
	}
	url := "/Film.m3u8?token=" + sign(key, jwt, good("Film", "v", claims{"kid": id}))
	e.get(t, url)

	var got keyAnswer
	e.ask(t, reader, http.MethodGet, keysPath+"/"+id, &got)
	if diff := cmp.Diff(map[string]string{"id": id, "created_at": made.Data["created_at"]}, got.Data); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r := e.ask(t, other, http.MethodDelete, keysPath+"/"+id, nil); r.Code != http.StatusNotFound {
		t.Errorf("another environment deletes it: %d", r.Code)
	}
	e.get(t, url)
	if r := e.ask(t, writer, http.MethodDelete, keysPath+"/"+id, nil); r.Code != http.StatusNoContent || r.Body.Len() != 0 {
		t.Errorf("deleted: %d %s", r.Code, r.Body)
	}
	if r := e.do(t, http.MethodGet, url); r.Code != http.StatusForbidden {
		t.Errorf("opened by a deleted key: %d", r.Code)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if r := e.ask(t, writer, method, keysPath+"/"+id, nil); r.Code != http.StatusNotFound {
			t.Errorf("%s of a deleted key: %d", method, r.Code)
		}
	}
}

func TestAPIListsInPages(t *testing.T) {
	t.Parallel()
	e := newAPI(t)
	want := []string{"K1"}
	for n := range 27 {
		e.Advance(time.Second)
		id := muxsim.KeyID("N" + strconv.Itoa(n))
		if err := e.AddKey("one", id, &keys()[1].PublicKey); err != nil {
			t.Fatal(err)
		}
		want = append([]string{string(id)}, want...)
	}
	for query, part := range map[string][]string{
		"": want[:25], "?page=2": want[25:], "?limit=100": want, "?limit=10&page=3": want[20:], "?page=9": nil, "?page=": want[:25],
	} {
		var list listAnswer
		e.ask(t, reader, http.MethodGet, keysPath+query, &list)
		var got []string
		for _, k := range list.Data {
			got = append(got, k["id"])
			if k["private_key"] != "" || k["created_at"] == "" {
				t.Errorf("%v", k)
			}
		}
		if diff := cmp.Diff(part, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", query, diff)
		}
	}
	for _, query := range []string{"?page=0", "?limit=101", "?limit=0", "?page=x", "?page=99999999999999999999"} {
		if r := e.ask(t, reader, http.MethodGet, keysPath+query, nil); r.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", query, r.Code)
		}
	}
}

func TestAPIWantsAnAccessTokenThatMay(t *testing.T) {
	t.Parallel()
	e := newAPI(t)
	for _, c := range []struct {
		token, method, target string
		status                int
	}{
		{"", http.MethodGet, keysPath, 401},
		{"nobody:s1", http.MethodGet, keysPath, 401},
		{"writer:wrong", http.MethodGet, keysPath, 401},
		{reader, http.MethodPost, keysPath, 401},
		{reader, http.MethodDelete, keysPath + "/K1", 401},
		{writer, http.MethodPut, keysPath, 405},
		{writer, http.MethodPatch, keysPath + "/K1", 405},
		{writer, http.MethodGet, "/system/v1/nothing", 404},
		{reader, http.MethodGet, keysPath + "/K1", 200},
		{reader, http.MethodGet, "/system/v1/whoami", 200},
	} {
		if r := e.ask(t, c.token, c.method, c.target, nil); r.Code != c.status {
			t.Errorf("%s %s by %q = %d, want %d: %s", c.method, c.target, c.token, r.Code, c.status, r.Body)
		}
	}
	var me struct{ Data map[string]any }
	e.ask(t, writer, http.MethodGet, "/system/v1/whoami", &me)
	if diff := cmp.Diff(map[string]any{
		"access_token_name": "backend", "environment_id": "one", "environment_name": "Production", "environment_type": "production",
		"organization_id": "org", "organization_name": "Org", "permissions": []any{"system:read", "system:write"},
	}, me.Data); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAPIFailsOnDemand(t *testing.T) {
	t.Parallel()
	e := newAPI(t)
	count := func() int {
		var list listAnswer
		e.ask(t, writer, http.MethodGet, keysPath, &list)
		return len(list.Data)
	}
	e.Fail(muxsim.Fault{Method: http.MethodPost, Status: 429, RetryAfter: "7", Times: 2})
	e.Fail(muxsim.Fault{Method: http.MethodPost, Status: 500, Done: true})
	for range 2 {
		if r := e.ask(t, writer, http.MethodPost, keysPath, nil); r.Code != 429 || r.Header().Get("Retry-After") != "7" || count() != 1 {
			t.Errorf("%d %v, %d keys", r.Code, r.Header(), count())
		}
	}
	if r := e.ask(t, writer, http.MethodPost, keysPath, nil); r.Code != 500 || count() != 2 {
		t.Errorf("%d, %d keys", r.Code, count())
	}

	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	post := func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+keysPath, http.NoBody)
		if err != nil {
			return err
		}
		request.SetBasicAuth("writer", "s1")
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	e.Fail(muxsim.Fault{Done: true})
	if err := post(t.Context()); err == nil || count() != 3 {
		t.Errorf("cut: %v, %d keys", err, count())
	}
	e.Fail(muxsim.Fault{Method: http.MethodPost, Done: true, Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- post(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); count() < 4 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || count() != 4 {
		t.Errorf("hung: %v, %d keys", err, count())
	}
	if err := post(t.Context()); err != nil || count() != 5 {
		t.Errorf("mended: %v, %d keys", err, count())
	}
}

func TestAccessTokensAreComplete(t *testing.T) {
	t.Parallel()
	for _, tokens := range [][]muxsim.AccessToken{{{ID: "a"}}, {{Secret: "s"}}, {{ID: "a", Secret: "s"}, {ID: "a", Secret: "t"}}} {
		if _, err := muxsim.New(muxsim.Config{Environments: []muxsim.Environment{{ID: "one", AccessTokens: tokens}}}); err == nil || strings.Contains(err.Error(), `"s"`) {
			t.Errorf("%d tokens: %v", len(tokens), err)
		}
	}
}
