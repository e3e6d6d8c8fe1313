package muxapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/muxapi"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
)

const secret = "the-secret-of-the-access-token"

// mux is the simulated Mux behind a transport that needs no network, so that
// tests run on synctest's clock.
type mux struct {
	*muxsim.Sim

	mu    sync.Mutex
	asked []string // method, path and the second since the first request
	first time.Time
	// instead answers in place of the simulator, unless it returns nil and no
	// error.
	instead func(*http.Request) (*http.Response, error)
}

// newMux returns a simulated Mux with two environments and a client of the
// first.
func newMux(t *testing.T, change ...func(*muxapi.Config)) (*mux, *muxapi.Client) {
	t.Helper()
	sim, err := muxsim.New(muxsim.Config{Now: time.Now, Environments: []muxsim.Environment{
		{
			ID: "env1", Name: "Production", Organization: "org1", OrganizationName: "Org",
			AccessTokens: []muxsim.AccessToken{{ID: "token", Name: "gateway", Secret: secret, Permissions: []string{"system:read", "system:write"}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := &mux{Sim: sim}
	cfg := muxapi.Config{
		BaseURL: "https://api.example", TokenID: "token", Secret: playback.NewSecret(secret),
		Transport: m, Now: time.Now, Rand: func() float64 { return 0 },
	}
	for _, c := range change {
		c(&cfg)
	}
	client, err := muxapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m, client
}

// RoundTrip answers from the simulator; what cuts a connection there is an
// error here.
func (m *mux) RoundTrip(r *http.Request) (_ *http.Response, err error) {
	m.mu.Lock()
	if m.first.IsZero() {
		m.first = time.Now()
	}
	m.asked = append(m.asked, fmt.Sprintf("%s %s @%s", r.Method, r.URL.RequestURI(), time.Since(m.first)))
	instead := m.instead
	m.mu.Unlock()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if instead != nil {
		if res, err := instead(r); res != nil || err != nil {
			return res, err
		}
	}
	defer func() {
		if cut := recover(); cut != nil {
			err = fmt.Errorf("connection reset: %v", cut)
			if r.Context().Err() != nil {
				err = r.Context().Err()
			}
		}
	}()
	recorder := httptest.NewRecorder()
	m.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// times returns the requests that began with a method and path.
func (m *mux) times(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.asked), func(s string) bool { return !strings.HasPrefix(s, prefix) })
}

// answerWith makes every request of a method get an answer.
func (m *mux) answerWith(method string, status int, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.instead = func(r *http.Request) (*http.Response, error) {
		if r.Method != method {
			return nil, nil
		}
		recorder := httptest.NewRecorder()
		recorder.WriteHeader(status)
		_, _ = recorder.WriteString(body)
		return recorder.Result(), nil
	}
}

// ids lists what Mux has, at the source.
func (m *mux) ids(t *testing.T, c *muxapi.Client) []playback.KeyID {
	t.Helper()
	keys, err := c.ListSigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []playback.KeyID
	for _, k := range keys {
		if k.PrivateKey.Reveal() != "" {
			t.Errorf("the list has a private key of %s", k.ID)
		}
		out = append(out, k.ID)
	}
	return out
}
