package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/demo"
)

// stub is the process around the page.
type stub struct {
	http.Handler
	switched []string
	failing  error
}

func newStub(t *testing.T) *stub {
	t.Helper()
	s := &stub{}
	handler, err := demo.Handler(demo.Config{
		Mux: "http://127.0.0.1:8081",
		Token: func(v demo.Viewer) (string, time.Time, error) {
			return "jwt-of-" + v.Subject, time.Unix(1_900_000_000, 0), s.failing
		},
		SwitchRules: func(_ context.Context, name string) error {
			s.switched = append(s.switched, name)
			return s.failing
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Handler = handler
	return s
}

func (s *stub) do(t *testing.T, method, url, body string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	return recorder
}

func (s *stub) read(t *testing.T, method, url, body string) map[string]any {
	t.Helper()
	recorder := s.do(t, method, url, body)
	var out map[string]any
	if err := json.Unmarshal(recorder.Body.Bytes(), &out); err != nil || recorder.Code != http.StatusOK {
		t.Fatalf("%s %s = %d %s", method, url, recorder.Code, recorder.Body)
	}
	if got := recorder.Header().Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("%s %s may be cached: %q", method, url, got)
	}
	return out
}

func TestPageAndItsFilesAreServed(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	page := s.do(t, http.MethodGet, "/demo/", "")
	if page.Code != http.StatusOK || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("GET /demo/ = %d %s", page.Code, page.Header().Get("Content-Type"))
	}
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"/#][^"]*)"`).FindAllStringSubmatch(page.Body.String(), -1) {
		if got := s.do(t, http.MethodGet, "/demo/"+match[1], ""); got.Code != http.StatusOK {
			t.Errorf("the page refers to %s, which is %d", match[1], got.Code)
		}
	}
	for file, want := range map[string]string{"js/main.js": "text/javascript", "vendor/hls.js-1.7.4/hls.light.min.mjs": "text/javascript", "style.css": "text/css", "icon.svg": "image/svg+xml"} {
		if got := s.do(t, http.MethodGet, "/demo/"+file, "").Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("%s is served as %s, want %s", file, got, want)
		}
	}
	for _, none := range []string{"/demo/js/", "/demo/vendor/", "/demo/nothing", "/demo/api/nothing"} {
		if got := s.do(t, http.MethodGet, none, "").Code; got != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", none, got)
		}
	}
	if got := s.do(t, http.MethodGet, "/demo", ""); got.Header().Get("Location") != "/demo/" {
		t.Errorf("GET /demo goes to %q", got.Header().Get("Location"))
	}
}

func TestPageMayTalkToGatewayAndMuxOnly(t *testing.T) {
	t.Parallel()
	header := newStub(t).do(t, http.MethodGet, "/demo/", "").Header()
	csp := header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "connect-src 'self' http://127.0.0.1:8081;", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("Content-Security-Policy %q lacks %q", csp, want)
		}
	}
	if got := header.Get("Referrer-Policy"); got != "strict-origin-when-cross-origin" {
		t.Errorf("Referrer-Policy %q hides the page from playback restrictions", got)
	}
}

func TestPageUsesNoNetworkButItsOwn(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(os.DirFS("page"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "vendor/") {
			return err
		}
		body, err := os.ReadFile(filepath.Join("page", path))
		if err != nil {
			return err
		}
		for _, url := range regexp.MustCompile(`https?://[^\s"'<)]+`).FindAllString(string(body), -1) {
			if url != "http://www.w3.org/2000/svg" { // a namespace
				t.Errorf("%s names %s", path, url)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPromisedElementsExist holds doc.go's list of IDs, which browser tests
// rely on, to the page.
func TestPromisedElementsExist(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(doc), "# What browser tests may rely on")
	promised := regexp.MustCompile(`#([a-z-]+)`).FindAllStringSubmatch(list, -1)
	if len(promised) < 20 {
		t.Fatalf("doc.go promises %d elements", len(promised))
	}
	for _, id := range promised {
		if !strings.Contains(string(page), `id="`+id[1]+`"`) {
			t.Errorf("the page has no #%s", id[1])
		}
	}
	script, err := os.ReadFile("page/js/main.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range regexp.MustCompile(`\$\("([a-z-]+)"\)`).FindAllStringSubmatch(string(script), -1) {
		if !strings.Contains(string(page), `id="`+id[1]+`"`) {
			t.Errorf("main.js uses #%s, which the page lacks", id[1])
		}
	}
}

func TestSessionIsAViewersJWT(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	for _, v := range demo.Viewers() {
		got := s.read(t, http.MethodGet, "/demo/api/session?viewer="+v.Name, "")
		viewer, _ := got["viewer"].(map[string]any)
		if got["token"] != "jwt-of-"+v.Subject || got["environment"] != string(v.Environment) || got["expires_at"] != 1.9e9 || viewer["name"] != v.Name {
			t.Errorf("session of %s = %v", v.Name, got)
		}
	}
	if got := s.do(t, http.MethodGet, "/demo/api/session?viewer=mallory", ""); got.Code != http.StatusNotFound {
		t.Errorf("session of a stranger = %d", got.Code)
	}
	s.failing = errors.New("secret cause")
	if got := s.do(t, http.MethodGet, "/demo/api/session?viewer=free", ""); got.Code != http.StatusInternalServerError || strings.Contains(got.Body.String(), "secret cause") {
		t.Errorf("a failing provider = %d %s", got.Code, got.Body)
	}
}

func TestCatalogueHasViewersAndVideos(t *testing.T) {
	t.Parallel()
	got := newStub(t).read(t, http.MethodGet, "/demo/api/catalogue", "")
	names := func(key string) []string {
		var out []string
		list, _ := got[key].([]any)
		for _, entry := range list {
			object, _ := entry.(map[string]any)
			name, _ := object["name"].(string)
			out = append(out, name)
		}
		return out
	}
	want := map[string][]string{
		"viewers": {"premium", "free", "blocked", "pupil"},
		"videos":  {"premiere", "short", "trailer", "vault", "live", "off-air", "soon", "lesson"},
	}
	if diff := cmp.Diff(want, map[string][]string{"viewers": names("viewers"), "videos": names("videos")}); diff != "" {
		t.Error(diff)
	}
}

func TestRulesAreSwitched(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	if got := s.read(t, http.MethodGet, "/demo/api/policy", "")["active"]; got != "standard" {
		t.Errorf("at start the rules are %v", got)
	}
	if got := s.read(t, http.MethodPost, "/demo/api/policy", `{"name":"lockdown"}`)["active"]; got != "lockdown" {
		t.Errorf("after the switch the rules are %v", got)
	}
	s.failing = errors.New("the gateway does not like them")
	if got := s.do(t, http.MethodPost, "/demo/api/policy", `{"name":"standard"}`); got.Code != http.StatusInternalServerError || strings.Contains(got.Body.String(), "like") {
		t.Errorf("a failing switch = %d %s", got.Code, got.Body)
	}
	if got := s.read(t, http.MethodGet, "/demo/api/policy", "")["active"]; got != "lockdown" {
		t.Errorf("after a failed switch the rules are %v", got)
	}
	if !slices.Equal(s.switched, []string{"lockdown", "standard"}) {
		t.Errorf("switched %v", s.switched)
	}
}

func TestSwitchingIsNotForOtherSites(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	for body, want := range map[string]int{
		`{"name":"../../etc"}`: http.StatusBadRequest,
		`nonsense`:             http.StatusBadRequest,
		`{"name":"` + strings.Repeat("a", 2000) + `"}`: http.StatusBadRequest,
	} {
		if got := s.do(t, http.MethodPost, "/demo/api/policy", body).Code; got != want {
			t.Errorf("POST %.40s = %d, want %d", body, got, want)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "nonsense/;"} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/demo/api/policy", strings.NewReader(`{"name":"lockdown"}`))
		request.Header.Set("Content-Type", kind)
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, request)
		if recorder.Code != http.StatusUnsupportedMediaType {
			t.Errorf("Content-Type %q = %d, want 415", kind, recorder.Code)
		}
	}
	preflight := s.do(t, http.MethodOptions, "/demo/api/policy", "")
	if preflight.Header().Get("Access-Control-Allow-Origin") != "" || preflight.Code < 400 {
		t.Errorf("a preflight is answered with %d", preflight.Code)
	}
	if len(s.switched) != 0 {
		t.Errorf("rules were switched to %v", s.switched)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	token := func(demo.Viewer) (string, time.Time, error) { return "", time.Time{}, nil }
	switchRules := func(context.Context, string) error { return nil }
	for what, config := range map[string]demo.Config{
		"no Token":       {SwitchRules: switchRules},
		"no SwitchRules": {Token: token},
		"no base URL":    {Token: token, SwitchRules: switchRules, Mux: "localhost"},
		"a CSP in Mux":   {Token: token, SwitchRules: switchRules, Mux: "http://x;script-src"},
	} {
		if _, err := demo.Handler(config); err == nil {
			t.Errorf("%s: Handler succeeds", what)
		}
	}
	if _, err := demo.Handler(demo.Config{Token: token, SwitchRules: switchRules}); err != nil {
		t.Error(err)
	}
}

// TestEmbeddedSize keeps page, player and media small enough for a binary.
func TestEmbeddedSize(t *testing.T) {
	t.Parallel()
	const most = 1_000_000
	total := int64(0)
	for _, dir := range []string{"page", "policies", "../muxsim/media/film", "../muxsim/media/trailer", "../muxsim/media/text"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				total += info.Size()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if total >= most {
		t.Errorf("embedded files have %d bytes, want less than %d", total, most)
	}
	t.Logf("%d bytes embedded", total)
}
