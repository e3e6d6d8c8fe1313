package muxapi_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
)

func TestAKeyIsCreatedListedAndDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t)
		made, err := c.CreateSigningKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := keystore.Parse([]byte(made.PrivateKey.Reveal())); err != nil || time.Since(made.CreatedAt).Abs() > time.Minute {
			t.Errorf("created at %s, and the key store says %v", made.CreatedAt, err)
		}
		if diff := cmp.Diff([]playback.KeyID{made.ID}, m.ids(t, c)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		for range 2 { // the second time there is none
			if err := c.DeleteSigningKey(t.Context(), made.ID); err != nil {
				t.Error(err)
			}
		}
		if got := m.ids(t, c); got != nil {
			t.Errorf("left: %v", got)
		}
	})
}

func TestAllPagesAreListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t)
		key, err := c.CreateSigningKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		private, _, err := keystore.Parse([]byte(key.PrivateKey.Reveal()))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 249 {
			if err := m.AddKey("env1", muxsim.KeyID(fmt.Sprintf("more%03d", n)), &private.PublicKey); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[playback.KeyID]bool{}
		for _, id := range m.ids(t, c) {
			seen[id] = true
		}
		if len(seen) != 250 || !seen[key.ID] || !seen["more000"] {
			t.Errorf("%d keys", len(seen))
		}
	})
}

func TestAListWithoutEndEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t)
		m.answerWith(http.MethodGet, 200, `{"data":[{"id":"A","created_at":"1"},{"id":"B","created_at":"2"}]}`)
		if diff := cmp.Diff([]playback.KeyID{"A", "B"}, m.ids(t, c)); diff != "" {
			t.Errorf("a server that has one page only (-want +got)\n%s", diff)
		}
		n := 0
		m.instead = func(*http.Request) (*http.Response, error) {
			n++
			recorder := httptest.NewRecorder()
			_, _ = fmt.Fprintf(recorder, `{"data":[{"id":"K%d"}]}`, n)
			return recorder.Result(), nil
		}
		if _, err := c.ListSigningKeys(t.Context()); err == nil || n != 50 {
			t.Errorf("%d pages, then %v", n, err)
		}
	})
}

func TestWhoAmI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := newMux(t)
		got, err := c.WhoAmI(t.Context())
		want := muxapi.Identity{
			AccessTokenName: "gateway", EnvironmentID: "env1", EnvironmentName: "Production", EnvironmentType: "production",
			OrganizationID: "org1", OrganizationName: "Org", Permissions: []string{"system:read", "system:write"},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	})
}

func TestAnAccessTokenOfAnotherEnvironmentChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t, func(cfg *muxapi.Config) { cfg.EnvironmentID = "env2" })
		_, createErr := c.CreateSigningKey(t.Context())
		_, listErr := c.ListSigningKeys(t.Context())
		for _, err := range []error{createErr, listErr, c.DeleteSigningKey(t.Context(), "K")} {
			if err == nil || !strings.Contains(err.Error(), `"env1", not to "env2"`) || errors.Is(err, muxapi.ErrUnsettled) {
				t.Errorf("error: %v", err)
			}
		}
		if asked := m.times("GET /system/v1/whoami"); len(asked) != 3 || len(m.asked) != 3 {
			t.Errorf("asked %v", m.asked)
		}
		_, right := newMux(t, func(cfg *muxapi.Config) { cfg.EnvironmentID = "env1" })
		if _, err := right.ListSigningKeys(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMuxsPaceIsKept: no client asks faster than Mux allows, however many ask
// at once.
func TestMuxsPaceIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t)
		m.answerWith(http.MethodPost, 409, `{}`)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _, _ = c.CreateSigningKey(t.Context()) })
		}
		all.Wait()
		diff := cmp.Diff([]string{
			"POST /system/v1/signing-keys @0s", "POST /system/v1/signing-keys @1s", "POST /system/v1/signing-keys @2s",
		}, m.times("POST"))
		if diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		diff = cmp.Diff([]string{
			"GET /system/v1/signing-keys?page=1&limit=100 @0s", "GET /system/v1/signing-keys?page=1&limit=100 @200ms",
			"GET /system/v1/signing-keys?page=1&limit=100 @400ms",
		}, m.times("GET"))
		if diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestTemporaryFailuresAreAskedAgain(t *testing.T) {
	t.Parallel()
	list := func(c *muxapi.Client, ctx context.Context) error { _, err := c.ListSigningKeys(ctx); return err }
	remove := func(c *muxapi.Client, ctx context.Context) error { return c.DeleteSigningKey(ctx, "K") }
	create := func(c *muxapi.Client, ctx context.Context) error { _, err := c.CreateSigningKey(ctx); return err }
	for name, test := range map[string]struct {
		fault muxsim.Fault
		ask   func(*muxapi.Client, context.Context) error
		good  bool
		took  time.Duration
		tries int
	}{
		"a list, 429 with Retry-After":       {muxsim.Fault{Method: "GET", Status: 429, RetryAfter: "7", Times: 2}, list, true, 14 * time.Second, 3},
		"a list, 429 without":                {muxsim.Fault{Method: "GET", Status: 429, Times: 3}, list, true, 1750 * time.Millisecond, 4},
		"a list, 500":                        {muxsim.Fault{Method: "GET", Status: 500}, list, true, 250 * time.Millisecond, 2},
		"a list, cut":                        {muxsim.Fault{Method: "GET", Times: 2}, list, true, 750 * time.Millisecond, 3},
		"a list, hanging":                    {muxsim.Fault{Method: "GET", Hang: true}, list, true, 15250 * time.Millisecond, 2},
		"a list, for ever":                   {muxsim.Fault{Method: "GET", Status: 503, Times: 99}, list, false, 3750 * time.Millisecond, 5},
		"a list, told to wait for too long":  {muxsim.Fault{Method: "GET", Status: 429, RetryAfter: "31"}, list, false, 0, 1},
		"a list, told to wait until a date":  {muxsim.Fault{Method: "GET", Status: 503, RetryAfter: "Sat, 01 Jan 2000 00:00:09 GMT"}, list, true, 9 * time.Second, 2},
		"a deletion, 502":                    {muxsim.Fault{Method: "DELETE", Status: 502}, remove, true, 500 * time.Millisecond, 2},
		"a deletion, done and cut":           {muxsim.Fault{Method: "DELETE", Done: true}, remove, true, 500 * time.Millisecond, 2},
		"a creation, 429 with Retry-After":   {muxsim.Fault{Method: "POST", Status: 429, RetryAfter: "3"}, create, true, 3 * time.Second, 2},
		"a creation, 429 at the pace of Mux": {muxsim.Fault{Method: "POST", Status: 429, Times: 2}, create, true, 2 * time.Second, 3},
		"a creation, 500, no new key":        {muxsim.Fault{Method: "POST", Status: 500, Times: 2}, create, true, 2 * time.Second, 3},
		"a creation, 503 for ever":           {muxsim.Fault{Method: "POST", Status: 503, Times: 99}, create, false, 5250 * time.Millisecond, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, c := newMux(t)
				m.Fail(test.fault)
				begun := time.Now()
				err := test.ask(c, t.Context())
				if (err == nil) != test.good || errors.Is(err, muxapi.ErrUnsettled) {
					t.Errorf("error: %v", err)
				}
				if took := time.Since(begun).Round(250 * time.Millisecond); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
				if got := m.times(test.fault.Method); len(got) != test.tries {
					t.Errorf("asked %v, want %d times", got, test.tries)
				}
				if e, ok := errors.AsType[*muxapi.Error](err); ok != !test.good || ok && e.Status != test.fault.Status {
					t.Errorf("error: %#v", e)
				}
			})
		})
	}
}

// TestAnAmbiguousCreationIsNotAskedAgain: a second key would leave the first
// one behind.
func TestAnAmbiguousCreationIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare    func(*mux)
		candidates int
	}{
		"made, and the answer cut":         {func(m *mux) { m.Fail(muxsim.Fault{Method: "POST", Done: true}) }, 0},
		"not made, and the connection cut": {func(m *mux) { m.Fail(muxsim.Fault{Method: "POST"}) }, 0},
		"made, and 500":                    {func(m *mux) { m.Fail(muxsim.Fault{Method: "POST", Done: true, Status: 500}) }, 1},
		"made, and 504":                    {func(m *mux) { m.Fail(muxsim.Fault{Method: "POST", Done: true, Status: 504}) }, 1},
		"no answer in time":                {func(m *mux) { m.Fail(muxsim.Fault{Method: "POST", Done: true, Hang: true}) }, 0},
		"201 without a key":                {func(m *mux) { m.answerWith("POST", 201, `{"data":{}}`) }, 0},
		"201 without its private half":     {func(m *mux) { m.answerWith("POST", 201, `{"data":{"id":"K"}}`) }, 1},
		"201 with an odd ID":               {func(m *mux) { m.answerWith("POST", 201, `{"data":{"id":"../K","private_key":"AAAA"}}`) }, 0},
		"201, cut short":                   {func(m *mux) { m.answerWith("POST", 201, `{"data":{"id":"K","private_key":"AAAA`) }, 0},
		"201, without an end":              {func(m *mux) { m.answerWith("POST", 201, strings.Repeat(" ", 8<<20+1)) }, 0},
		"500, and then Mux is away": {func(m *mux) {
			m.Fail(muxsim.Fault{Method: "POST", Status: 500})
			posted := false
			m.instead = func(r *http.Request) (*http.Response, error) {
				posted = posted || r.Method == "POST"
				if posted && r.Method == "GET" {
					return nil, errors.New("network is down")
				}
				return nil, nil
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, c := newMux(t)
				test.prepare(m)
				key, err := c.CreateSigningKey(t.Context())
				unsettled, ok := errors.AsType[*muxapi.UnsettledError](err)
				if !ok || !errors.Is(err, muxapi.ErrUnsettled) || len(unsettled.Candidates) != test.candidates {
					t.Fatalf("key %s, error %v", key.ID, err)
				}
				if got := m.times("POST"); len(got) != 1 {
					t.Errorf("asked %v", got)
				}
				if strings.Contains(err.Error(), "AAAA") || strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is in the error: %v", err)
				}
			})
		})
	}
}

// TestARequestThatNeverLeftIsNotAmbiguous: nobody listened.
func TestARequestThatNeverLeftIsNotAmbiguous(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t)
		refused := 0
		m.instead = func(r *http.Request) (*http.Response, error) {
			if refused++; r.Method == "POST" && refused < 5 {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
			}
			return nil, nil
		}
		if _, err := c.CreateSigningKey(t.Context()); err != nil || len(m.times("POST")) < 2 {
			t.Errorf("asked %v: %v", m.times("POST"), err)
		}
	})
}

func TestErrorsSayWhatMuxSaidAndNoSecret(t *testing.T) {
	t.Parallel()
	echo := base64.StdEncoding.EncodeToString([]byte("token:" + secret))
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"a refusal":      {401, `{"error":{"type":"unauthorized","messages":["Unauthorized request"]}}`, "deleting signing key K: Mux answered 401 unauthorized: Unauthorized request (check mux.token_id, its secret, and that the token has System permissions)"},
		"no permission":  {403, `{"error":{"type":"forbidden","messages":["No"]}}`, "deleting signing key K: Mux answered 403 forbidden: No (the access token lacks the System permission)"},
		"two messages":   {422, `{"error":{"type":"invalid_parameters","messages":["a","b"]}}`, "deleting signing key K: Mux answered 422 invalid_parameters: a; b"},
		"no envelope":    {400, `<html>`, "deleting signing key K: Mux answered 400"},
		"a redirect":     {302, ``, "deleting signing key K: Mux answered 302"},
		"a secret":       {400, `{"error":{"type":"bad","messages":["got ` + secret + ` and Basic ` + echo + `"]}}`, "deleting signing key K: Mux answered 400 bad: got [redacted] and Basic [redacted]"},
		"control bytes":  {400, `{"error":{"type":"a\nb","messages":["c\u001b[31m\u0000"]}}`, "deleting signing key K: Mux answered 400 a b: c [31m "},
		"far too much":   {400, `{"error":{"messages":["` + strings.Repeat("x", 9999) + `"]}}`, "deleting signing key K: Mux answered 400: " + strings.Repeat("x", 512)},
		"many of them":   {400, `{"error":{"messages":["x"` + strings.Repeat(`,"x"`, 99) + `]}}`, "deleting signing key K: Mux answered 400: x; x; x; x; x; x; x; x"},
		"not a list":     {400, `{"error":{"messages":"x"}}`, "deleting signing key K: Mux answered 400"},
		"not even there": {400, ``, "deleting signing key K: Mux answered 400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, c := newMux(t)
				m.answerWith(http.MethodDelete, test.status, test.body)
				err := c.DeleteSigningKey(t.Context(), "K")
				if err == nil || err.Error() != test.want {
					t.Errorf("error: %v\nwant:  %s", err, test.want)
				}
			})
		})
	}
	_, c := newMux(t)
	if text := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(text, secret) {
		t.Errorf("the client shows its secret: %s", text)
	}
}

// TestAWrongBaseURLDeletesNothing: 404 means that the key is gone only where
// keys are.
func TestAWrongBaseURLDeletesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t, func(cfg *muxapi.Config) { cfg.BaseURL = "https://api.example/v9/" })
		m.instead = func(*http.Request) (*http.Response, error) {
			recorder := httptest.NewRecorder()
			recorder.WriteHeader(http.StatusNotFound)
			return recorder.Result(), nil
		}
		err := c.DeleteSigningKey(t.Context(), "K")
		if e, ok := errors.AsType[*muxapi.Error](err); !ok || e.Status != 404 {
			t.Errorf("error: %v", err)
		}
		if len(m.times("DELETE /v9/system/v1/signing-keys/K")) != 1 {
			t.Errorf("asked %v", m.asked)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t)
		key, err := c.CreateSigningKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m.answerWith(http.MethodDelete, 404, "") // and still lists it
		if err := c.DeleteSigningKey(t.Context(), key.ID); err == nil {
			t.Error("a key that Mux still has is reported as deleted")
		}
		if err := c.DeleteSigningKey(t.Context(), "../x"); err == nil || len(m.times("DELETE")) != 1 {
			t.Errorf("error: %v, asked %v", err, m.times("DELETE"))
		}
	})
}

func TestWhoWaitsForMuxWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, c := newMux(t)
		m.Fail(muxsim.Fault{Status: 429, RetryAfter: "20", Times: 99})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := c.ListSigningKeys(ctx)
		// What Mux said is worth more than that time is over.
		if e, ok := errors.AsType[*muxapi.Error](err); !ok || e.Status != 429 || e.RetryAfter != 20*time.Second || time.Since(begun) > time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		cancel()
		if _, err := c.CreateSigningKey(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, muxapi.ErrUnsettled) {
			t.Errorf("error: %v", err)
		}
	})
}

func TestNewWantsAHostAndACredential(t *testing.T) {
	t.Parallel()
	good := muxapi.Config{BaseURL: "https://api.mux.com", TokenID: "id", Secret: playback.NewSecret(secret)}
	for name, change := range map[string]func(*muxapi.Config){
		"":               func(*muxapi.Config) {},
		"no URL":         func(c *muxapi.Config) { c.BaseURL = "" },
		"no host":        func(c *muxapi.Config) { c.BaseURL = "https:///x" },
		"another scheme": func(c *muxapi.Config) { c.BaseURL = "ftp://api.mux.com" },
		"a user":         func(c *muxapi.Config) { c.BaseURL = "https://user:" + secret + "@api.mux.com" },
		"a query":        func(c *muxapi.Config) { c.BaseURL = "https://api.mux.com?x=y" },
		"control bytes":  func(c *muxapi.Config) { c.BaseURL = "https://\x00" },
		"no ID":          func(c *muxapi.Config) { c.TokenID = "" },
		"a colon":        func(c *muxapi.Config) { c.TokenID = "a:b" },
		"no secret":      func(c *muxapi.Config) { c.Secret = playback.Secret{} },
	} {
		cfg := good
		change(&cfg)
		_, err := muxapi.New(cfg)
		if (err == nil) != (name == "") || err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestOverARealConnection: the credential, and that no redirect takes it
// elsewhere.
func TestOverARealConnection(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	mux := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, sent, _ := r.BasicAuth()
		if id != "token" || sent != secret || r.ContentLength != 0 || r.UserAgent() != "playgate" {
			t.Errorf("asked %s by %s with %v", r.URL, id, r.Header)
		}
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(`{"data":[]}`))
			return
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(mux.Close)
	c, err := muxapi.New(muxapi.Config{BaseURL: mux.URL, TokenID: "token", Secret: playback.NewSecret(secret)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateSigningKey(t.Context())
	if e, ok := errors.AsType[*muxapi.Error](err); !ok || e.Status != 307 {
		t.Errorf("error: %v", err)
	}
	mux.Close()
	if err := c.DeleteSigningKey(t.Context(), "K"); err == nil {
		t.Error("deleted at a Mux that is away")
	}
}
