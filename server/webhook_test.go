package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
)

// fakeWebhooks answers as it is told and remembers what it was given.
type fakeWebhooks struct {
	mu                  sync.Mutex
	taken               []string
	deadline            bool
	outcome             string
	implausible, forged error
	err                 error
}

var _ server.Webhooks = (*fakeWebhooks)(nil)

func (f *fakeWebhooks) Plausible(string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.implausible
}

func (f *fakeWebhooks) Verify(env playback.EnvironmentID, signature string, body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = append(f.taken, fmt.Sprintf("%s %s %q", env, signature, body))
	return f.forged
}

func (f *fakeWebhooks) Take(ctx context.Context, _ playback.EnvironmentID, _ []byte) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, f.deadline = ctx.Deadline()
	return f.outcome, f.err
}

func (f *fakeWebhooks) will(outcome string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcome, f.err, f.taken, f.implausible, f.forged = outcome, err, nil, nil, nil
}

// refuses makes it refuse signatures, before or after the body is known.
func (f *fakeWebhooks) refuses(implausible, forged error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.implausible, f.forged, f.taken = implausible, forged, nil
}

const hooks = "/v1/webhooks/mux/"

func TestAWebhookGoesInAsItWasSent(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.hooks.will("applied", nil)
	for _, body := range []string{
		`{"a":1}`, "\r\n\t {\"a\" :\n1 }  \n", "not json", `{"a":"ü\u0000"}`, strings.Repeat(" ", 1<<20), "\x00\xff",
	} {
		k.hooks.will("applied", nil)
		r := k.post(hooks+string(acme), body, "Mux-Signature: t=1,v1=aa,v1=bb")
		k.want(r, http.StatusOK, "")
		diff(t, "what was taken", k.hooks.taken, []string{fmt.Sprintf("%s t=1,v1=aa,v1=bb %q", acme, body)})
		if r.body != `{"data":{"result":"applied"}}` || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("answered %s %s", r.Header.Get("Content-Type"), r.body)
		}
	}
	if !k.hooks.deadline {
		t.Error("taking a webhook may last for ever")
	}
	// Chunks, no media type, no signature, no body, a host of none: all that
	// counts is the signature, and that is for who takes it.
	k.hooks.will("ignored", nil)
	k.want(k.raw("POST", "POST "+hooks+"nobody HTTP/1.1\r\nHost: elsewhere.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n"), http.StatusOK, "")
	k.want(k.call("POST", hooks+"nobody"), http.StatusOK, "")
	diff(t, "what was taken", k.hooks.taken, []string{`nobody  "{\"a\":1}"`, `nobody  ""`})
}

func TestAWebhookThatIsTooLargeIsNotTaken(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.hooks.will("applied", nil)
	k.hooks.refuses(errForged, nil) // the size answers first (contract §8)
	tooLarge := strings.Repeat("x", 1<<20+1)
	k.want(k.post(hooks+string(acme), tooLarge), http.StatusRequestEntityTooLarge, playback.CodePayloadTooLarge)
	chunked := "POST " + hooks + string(acme) + " HTTP/1.1\r\nHost: " + acmeHost + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(tooLarge), tooLarge)
	k.want(k.raw("POST", chunked), http.StatusRequestEntityTooLarge, playback.CodePayloadTooLarge)
	if len(k.hooks.taken) > 0 {
		t.Errorf("%d were taken", len(k.hooks.taken))
	}
}

// TestARefusedWebhookHasACauseInTheLogAlone: Mux's operator, or a stranger, sees
// no more than the contract says.
func TestARefusedWebhookHasACauseInTheLogAlone(t *testing.T) {
	t.Parallel()
	k := start(t, options{accessLog: "errors"})
	cause := errors.New("by none of the secrets")
	for _, c := range []struct {
		err    error
		status int
		code   playback.Code
	}{
		{playback.Errorf(playback.CodeInvalidCredentials, "The signature is not good.").Because(cause), http.StatusUnauthorized, playback.CodeInvalidCredentials},
		{playback.Errorf(playback.CodeInvalidField, "The body is not a webhook of Mux.").Because(cause), http.StatusBadRequest, playback.CodeInvalidField},
		{playback.Errorf(playback.CodeDependencyUnavailable, "The store does not answer.").Because(cause), http.StatusServiceUnavailable, playback.CodeDependencyUnavailable},
		{cause, http.StatusInternalServerError, playback.CodeInternalError},
	} {
		k.hooks.will("", c.err)
		if c.status == http.StatusUnauthorized {
			k.hooks.refuses(nil, c.err)
		}
		before := len(k.log.text())
		r := k.post(hooks+string(acme), "{}", "Mux-Signature: t=1,v1=5ec2e7")
		k.want(r, c.status, c.code)
		line := k.log.text()[before:]
		if strings.Contains(r.body, cause.Error()) || !strings.Contains(line, `"cause":"`) || !strings.Contains(line, cause.Error()) || strings.Contains(line, "5ec2e7") {
			t.Errorf("answered %s, logged %s", r.body, line)
		}
	}
}

var errForged = playback.Errorf(playback.CodeInvalidCredentials, "The signature is not good.")

// TestOnlyForgedWebhooksAreLimited: Mux sends from few addresses, and strangers from
// the same ones must not keep it out; what they send counts at the limit of their
// address, that of the host's environment (contract §3).
func TestOnlyForgedWebhooksAreLimited(t *testing.T) {
	t.Parallel()
	all := tenants()
	for i := range all {
		for j := range all[i].Environments {
			all[i].Environments[j].RateLimits.IP = "4-M"
		}
	}
	for name, refuse := range map[string]func(*fakeWebhooks){
		"implausible": func(f *fakeWebhooks) { f.refuses(errForged, nil) },
		"forged":      func(f *fakeWebhooks) { f.refuses(nil, errForged) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{tenants: all, unresolved: "2-M"})
			k.hooks.will("applied", nil)
			for range 10 {
				k.want(k.post(hooks+string(acme), "{}"), http.StatusOK, "")
			}
			refuse(k.hooks)
			for range 4 {
				k.want(k.post(hooks+"nobody", "{}"), http.StatusUnauthorized, playback.CodeInvalidCredentials)
			}
			k.want(k.post(hooks+string(acme), "{}"), http.StatusTooManyRequests, playback.CodeRateLimited)
			k.want(k.call("GET", "/v1/playback-ids/P1/token"), http.StatusTooManyRequests, playback.CodeRateLimited)
			for range 2 {
				k.want(k.post(hooks+string(acme), "{}", "Host: elsewhere.example"), http.StatusUnauthorized, playback.CodeInvalidCredentials)
			}
			k.want(k.post(hooks+string(acme), "{}", "Host: elsewhere.example"), http.StatusTooManyRequests, playback.CodeRateLimited)
			k.hooks.will("applied", nil)
			k.want(k.post(hooks+string(acme), "{}"), http.StatusOK, "")
		})
	}
}

// TestAnImplausibleWebhookIsRefusedBeforeItsBodyIsRead: one byte of the body is
// there, and the rest never comes.
func TestAnImplausibleWebhookIsRefusedBeforeItsBodyIsRead(t *testing.T) {
	t.Parallel()
	for name, framing := range map[string]string{
		"long":    "Content-Length: 1000000\r\n\r\n{",
		"short":   "Content-Length: 1000\r\n\r\n{",
		"expects": "Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			k.hooks.refuses(errForged, nil)
			s := k.tcp()()
			s.send("POST " + hooks + string(acme) + " HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + framing)
			k.want(s.answer(), http.StatusUnauthorized, playback.CodeInvalidCredentials)
			if len(k.hooks.taken) > 0 {
				t.Errorf("%d bodies were read", len(k.hooks.taken))
			}
		})
	}
}

func TestWebhooksAreNotForPages(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.hooks.will("applied", nil)
	if r := k.post(hooks+string(acme), "{}", "Origin: "+acmePage); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page may send webhooks")
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
		r := k.call(method, hooks+string(acme))
		if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("%s: %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	for _, path := range []string{"/v1/webhooks/mux", "/v1/webhooks/mux/", "/v1/webhooks/mux/a/b", "/v1/webhooks/stripe/" + string(acme)} {
		k.want(k.post(path, "{}"), http.StatusNotFound, playback.CodeNotFound)
	}
}
