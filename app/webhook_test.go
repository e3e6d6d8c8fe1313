package app_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/muxsim"
)

// hookWorld is a gateway that takes webhooks of Mux's environment mux1, by two
// secrets, into acme; bare has no secret.
type hookWorld struct {
	t   *testing.T
	url string
	a   *app.App
	log *gatewayLog
}

const (
	oldSecret = "whsec-old-3b1f"
	newSecret = "whsec-new-9c2d"
)

func newHookWorld(t *testing.T) *hookWorld {
	t.Helper()
	path := write(t, `
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_delay: 0}
log: {access: errors}
keystore: {driver: memory}
store: {driver: memory}
organizations:
  - id: acme
    environments:
      - id: acme
        hosts: [acme.example]
        anonymous: true
        mux: {environment_id: mux1}
        catalog: {unknown: deny}
        webhooks: {secret_files: [old, new]}
        policy: {version: 1, rules: [{id: open, effect: allow, when: 'true'}]}
      - id: bare
        hosts: [bare.example]
        policy: {version: 1, rules: [{id: open, effect: allow, when: 'true'}]}
`)
	for name, secret := range map[string]string{"old": oldSecret + "\n", "new": newSecret} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &hookWorld{t: t, log: &gatewayLog{}}
	a, err := app.New(app.Options{Path: path, Log: w.log})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	w.log.gateway = a
	w.a, w.url = a, "http://"+a.Addr().String()
	return w
}

// post sends a webhook and returns the answer's status and body.
func (w *hookWorld) post(env, signature, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/v1/webhooks/mux/"+env, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if signature != "" {
		req.Header.Set("Mux-Signature", signature)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// counted returns how many webhooks had a result.
func (w *hookWorld) counted(result string) string {
	w.t.Helper()
	_, metrics := get(w.t, "http://"+w.a.AdminAddr().String()+"/metrics")
	_, rest, _ := strings.Cut(metrics, "\nplaygate_webhooks_total{result=\""+result+"\"} ")
	n, _, _ := strings.Cut(rest, "\n")
	return n
}

// minted reports the status of a request for a token.
func (w *hookWorld) minted(id string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+"/v1/playback-ids/"+id+"/token", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = "acme.example"
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// aboutAsset is a webhook about an asset with one playback ID, laid out as
// nobody would.
func aboutAsset(event, kind, env, asset, id string) string {
	return fmt.Sprintf("\r\n {\t\"type\" : %q,\n\n\"id\":%q,\"created_at\":%q,\"object\":{\"type\":\"asset\",\"id\":%q},\"environment\":{\"id\":%q}, "+
		"\"data\":{\"id\":%q,\"status\":\"ready\",\"playback_ids\":[{\"id\":%q,\"policy\":\"signed\"}]}  }\n\t ",
		kind, event, time.Now().UTC().Format(time.RFC3339Nano), asset, env, asset, id)
}

// TestRefusedWebhooksSayWhyInTheLog, and to nobody else: neither secret nor
// signature is anywhere.
func TestRefusedWebhooksSayWhyInTheLog(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	body := aboutAsset("e1", "video.asset.ready", "mux1", "A1", "P1")
	now := time.Now()
	good := muxsim.SignWebhook([]byte(body), now, newSecret)
	stamp, mac, _ := strings.Cut(good, ",v1=")
	w.log.take(t)
	answers := map[string]bool{}
	cases := []struct{ name, env, signature, cause string }{
		{"no header", "acme", "", "there is no Mux-Signature header"},
		{"no time", "acme", "v1=" + mac, "malformed: it has no t"},
		{"two times", "acme", good + ",t=1", "malformed: it has two t"},
		{"a time that is none", "acme", "t=soon,v1=" + mac, "its t is not a number of seconds"},
		{"another scheme", "acme", stamp + ",v2=" + mac, "malformed: it has no v1 of 64 hexadecimal digits (0 others)"},
		{"cut short", "acme", stamp + ",v1=" + mac[:62], "malformed: it has no v1 of 64 hexadecimal digits (1 other)"},
		{"another secret", "acme", muxsim.SignWebhook([]byte(body), now, "guess"), "none of its v1 signatures (1) is by one of the secrets (2)"},
		{"several of others", "acme", muxsim.SignWebhook([]byte(body), now, "a", "b", "c"), "none of its v1 signatures (3) is by one of the secrets (2)"},
		{"another body", "acme", muxsim.SignWebhook([]byte(strings.TrimSpace(body)), now, newSecret), "none of its v1 signatures (1)"},
		{"too old", "acme", muxsim.SignWebhook([]byte(body), now.Add(-310*time.Second), newSecret), "it is too old: of "},
		{"no secret", "bare", good, "no secret is configured (webhooks.secret_files)"},
		{"no environment", "nobody", good, "there is no such environment"},
	}
	for _, c := range cases {
		status, answer := w.post(c.env, c.signature, body)
		line := w.log.take(t)
		if status != http.StatusUnauthorized || !strings.Contains(answer, `"invalid_credentials"`) || !strings.Contains(line, c.cause) {
			t.Errorf("%s: answered %d %s, logged %s, want 401 and the cause %q", c.name, status, answer, line, c.cause)
		}
		for _, private := range []string{oldSecret, newSecret, mac[:32], "too old: of"} {
			if strings.Contains(answer, private) || private != "too old: of" && strings.Contains(line, private) {
				t.Errorf("%s: %q got out: answered %s, logged %s", c.name, private, answer, line)
			}
		}
		before, _, _ := strings.Cut(answer, `"request_id"`)
		answers[before] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
	if n := w.counted("refused"); n != fmt.Sprint(len(cases)) {
		t.Errorf("%s were counted as refused, want %d", n, len(cases))
	}
	if status := w.minted("P1"); status != http.StatusNotFound {
		t.Errorf("what was refused has an effect: %d", status)
	}
	foreign := aboutAsset("e2", "video.asset.ready", "mux2", "A1", "P1")
	status, answer := w.post("acme", muxsim.SignWebhook([]byte(foreign), now, newSecret), foreign)
	if line := w.log.take(t); status != http.StatusUnauthorized || !strings.Contains(line, `\"mux2\", mux.environment_id is \"mux1\"`) || w.minted("P1") != http.StatusNotFound {
		t.Errorf("of another environment of Mux: %d %s, logged %s", status, answer, line)
	}
}

func TestSignedWebhooksAreTaken(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	now := time.Now()
	take := func(name, body, signature, want string) {
		t.Helper()
		if status, answer := w.post("acme", signature, body); status != http.StatusOK || answer != `{"data":{"result":"`+want+`"}}` {
			t.Errorf("%s: %d %s, want %s", name, status, answer, want)
		}
	}
	sign := func(body string, at time.Time, secrets ...string) string {
		return muxsim.SignWebhook([]byte(body), at, secrets...)
	}
	for i, c := range []struct {
		name    string
		late    time.Duration
		secrets []string
	}{
		{"by the old secret", 0, []string{oldSecret}},
		{"by the new secret", 0, []string{newSecret}},
		{"several, the last is good", 0, []string{"a", "b", newSecret}},
		{"several, the first is good", 0, []string{oldSecret, "a", "b"}},
		{"nearly too old", 290 * time.Second, []string{newSecret}},
		{"by a clock that is ahead", -time.Hour, []string{newSecret}},
	} {
		id := fmt.Sprintf("P%d", i)
		body := aboutAsset(fmt.Sprintf("e%d", i), "video.asset.ready", "mux1", fmt.Sprintf("A%d", i), id)
		take(c.name, body, sign(body, now.Add(-c.late), c.secrets...), "applied")
		if status := w.minted(id); status != http.StatusOK {
			t.Errorf("%s: then %d", c.name, status)
		}
	}
	// What was taken before has no effect, whatever it says and whoever signs it.
	again := aboutAsset("e0", "video.asset.deleted", "mux1", "A1", "P1")
	take("an event again", again, sign(again, now, oldSecret), "duplicate")
	if status := w.minted("P1"); status != http.StatusOK {
		t.Errorf("after a replay: %d", status)
	}
	for _, kind := range []string{"video.delivery.high_traffic", "video.asset", "robots.job.moderate.completed", "something.new"} {
		body := aboutAsset("x-"+kind, kind, "mux1", "A1", "P1")
		take(kind, body, sign(body, now, newSecret), "ignored")
	}
	for result, want := range map[string]string{"applied": "6", "duplicate": "1", "ignored": "4", "refused": "0"} {
		if n := w.counted(result); n != want {
			t.Errorf("%q were counted as %s, want %s", n, result, want)
		}
	}
	large := aboutAsset("large", "video.asset.deleted", "mux1", "A1", "P1")
	large += strings.Repeat(" ", 1<<20-len(large))
	take("1 MiB", large, sign(large, now, newSecret), "applied")
	if status := w.minted("P1"); status != http.StatusNotFound {
		t.Errorf("after the asset was deleted: %d", status)
	}
}

// TestTwoWebhooksInOneSecond: Mux's created_at has whole seconds. Which of the
// two comes first does not matter, to minting either.
func TestTwoWebhooksInOneSecond(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	about := func(event, stream, id, status string) string {
		return fmt.Sprintf(`{"type":"video.live_stream.%s","id":%q,"created_at":"2026-07-15T12:00:00.000000Z","object":{"type":"live","id":%q},`+
			`"environment":{"id":"mux1"},"data":{"id":%q,"status":%q,"playback_ids":[{"id":%q,"policy":"signed"}]}}`, status, event, stream, stream, status, id)
	}
	for i, order := range [][2]string{{"idle", "disabled"}, {"disabled", "idle"}} {
		stream, id := fmt.Sprintf("L%d", i), fmt.Sprintf("PL%d", i)
		for n, status := range order {
			body := about(fmt.Sprintf("e%d-%d", i, n), stream, id, status)
			if code, answer := w.post("acme", muxsim.SignWebhook([]byte(body), time.Now(), newSecret), body); code != http.StatusOK || answer != `{"data":{"result":"applied"}}` {
				t.Errorf("%s: %d %s", status, code, answer)
			}
		}
		if code := w.minted(id); code != http.StatusPreconditionFailed {
			t.Errorf("%v: a request for a token is answered %d, want 412", order, code)
		}
	}
	if _, metrics := get(t, "http://"+w.a.AdminAddr().String()+"/metrics"); !strings.Contains(metrics, "\nplaygate_catalogue_ties 2\n") {
		t.Error("playgate_catalogue_ties is not 2")
	}
}
