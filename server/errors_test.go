package server_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
)

var update = flag.Bool("update", false, "write golden files and docs/errors.md anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./server -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s is not current; go test ./server -update writes it\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestErrorReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	golden(t, filepath.Join("..", "docs", "errors.md"), server.ErrorReference())
}

// TestEveryCodeOnTheWire keeps what clients see of each code: status line,
// headers, body.
func TestEveryCodeOnTheWire(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, doc := range append(playback.Codes(), playback.CodeDoc{Code: "not_released", Kind: playback.Forbidden, Meaning: "A deny rule's reason."}) {
		err := playback.Errorf(doc.Code, "%s", doc.Meaning).Because(errors.New("private")).After(1500 * time.Millisecond)
		k.issuer.answers(refusing(err))
		r := k.get(aToken, bearer(acmeViewer), "X-Request-Id: the-request")
		if doc.Code == playback.CodeMethodNotAllowed { // the one that has Allow
			r = k.call("PUT", aToken, "X-Request-Id: the-request")
		}
		checkAnswer(t, r)
		var b strings.Builder
		fmt.Fprintf(&b, "%d\n", r.StatusCode)
		for _, name := range []string{"Www-Authenticate", "Allow", "Retry-After", "X-Should-Retry", "Content-Type", "Cache-Control", "X-Request-Id"} {
			if value := r.Header.Get(name); value != "" {
				fmt.Fprintf(&b, "%s: %s\n", http.CanonicalHeaderKey(name), value)
			}
		}
		fmt.Fprintf(&b, "\n%s\n", r.body)
		if strings.Contains(r.body, "private") {
			t.Errorf("%s: the cause reached the client", doc.Code)
		}
		golden(t, filepath.Join("testdata", "errors", string(doc.Code)+".http"), b.String())
	}
}

func TestAKindIsOneStatus(t *testing.T) {
	t.Parallel()
	for kind, status := range map[playback.Kind]int{
		playback.InvalidParameters: 400, playback.Unauthorized: 401, playback.Forbidden: 403, playback.NotFound: 404,
		playback.MethodNotAllowed: 405, playback.Conflict: 409, playback.PreconditionFailed: 412, playback.PayloadTooLarge: 413,
		playback.UnsupportedMediaType: 415, playback.TooManyRequests: 429, playback.HeadersTooLarge: 431, playback.InternalError: 500,
		playback.ServiceUnavailable: 503, "of a later version": 500,
	} {
		if got := server.Status(kind); got != status {
			t.Errorf("Status(%s) = %d, want %d", kind, got, status)
		}
	}
	var seen []playback.Code
	for _, doc := range playback.Codes() {
		if slices.Contains(seen, doc.Code) {
			t.Errorf("%s is documented twice", doc.Code)
		}
		seen = append(seen, doc.Code)
	}
}

func TestWhatTheGatewayGotWrongStaysInside(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"an unknown error":     errors.New("hunter2"),
		"a wrapped one":        fmt.Errorf("asking: %w", errors.New("hunter2")),
		"an internal one":      playback.Errorf(playback.CodeInternalError, "hunter2"),
		"a kind without table": &playback.Error{Kind: "odd", Code: "odd", Message: "hunter2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			k.issuer.answers(refusing(err))
			r := k.get(aToken, bearer(acmeViewer))
			k.want(r, 500, playback.CodeInternalError)
			if strings.Contains(r.body, "hunter2") {
				t.Errorf("the cause reached the client: %s", r.body)
			}
			log := k.log.text()
			if n := strings.Count(log, `"level":"ERROR"`); n != 1 {
				t.Errorf("logged %d errors, want 1: %s", n, log)
			}
		})
	}
}

func TestARefusalSurvivesWrapping(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(refusing(fmt.Errorf("signing: %w", playback.Errorf(playback.CodeSigningOverloaded, "Wait.").After(2500*time.Millisecond))))
	r := k.get(aToken, bearer(acmeViewer))
	k.want(r, 503, playback.CodeSigningOverloaded)
	diff(t, "Retry-After", r.Header.Get("Retry-After"), "3")
	if log := k.log.text(); !strings.Contains(log, `"level":"WARN"`) {
		t.Errorf("log = %s", log)
	}
}

// TestNobodyWhoManagesIsAskedToWaitLong: Mux's SDKs hold their caller for as
// long as Retry-After says (contract §10). A viewer's wait is what it is.
func TestNobodyWhoManagesIsAskedToWaitLong(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, c := range []struct {
		code   playback.Code
		status int
		wait   time.Duration
		want   string // of those who manage
		viewer string
	}{
		{playback.CodeDependencyUnavailable, 503, time.Hour, "30", "3600"},
		{playback.CodeRateLimited, 429, 31 * time.Second, "30", "31"},
		{playback.CodeRateLimited, 429, 1500 * time.Millisecond, "2", "2"},
		{playback.CodeDependencyUnavailable, 503, 0, "1", "1"},
	} {
		err := playback.Errorf(c.code, "Later.").After(c.wait)
		k.keys.refuse(err)
		k.issuer.answers(refusing(err))
		for _, target := range []string{muxKeysPath, olderKeysPath, muxKeysPath + "/OLD", "/v1/signing-keys"} {
			r := k.call("GET", target, operator())
			k.want(r, c.status, c.code)
			diff(t, target+": Retry-After", r.Header.Get("Retry-After"), c.want)
		}
		r := k.get(aToken, bearer(acmeViewer))
		k.want(r, c.status, c.code)
		diff(t, "a token: Retry-After", r.Header.Get("Retry-After"), c.viewer)
	}
}
