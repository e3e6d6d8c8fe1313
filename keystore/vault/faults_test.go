package vault_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
)

// faults puts every kind of trouble between the source and Vault. Each is an
// error, none a withdrawal, and each is over when it is over.
func faults(t *testing.T, p *prefixes) {
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body) // the client may be gone
			return true
		}
	}
	hangUp := func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	for _, c := range []struct {
		name   string
		fault  func(http.ResponseWriter, *http.Request) bool
		reason string
	}{
		{"sealed", answer(503, `{"errors":["Vault is sealed"]}`), "503: Vault is sealed"},
		{"overloaded", answer(429, `{"errors":["request path \"x\": rate limit quota exceeded"]}`), "429: request path"},
		{"internal error", answer(500, `{"errors":["1 error occurred:\n\t* oops\n\n"]}`), "500: 1 error occurred: * oops"},
		{"bad gateway with a page", answer(502, strings.Repeat("<html>\n", 1000)), "502"},
		{"not found, with a page", answer(404, "<html>not found</html>"), "404: <html>not found</html>"},
		{"stale replica", answer(412, `{"errors":["required index state not present"]}`), "412"},
		{"redirect without end", func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
			return true
		}, "reading"},
		{"success with a page", answer(200, "<html>login</html>"), "unreadable answer"},
		{"success with nothing", answer(200, ""), "reading"},
		{"success without data", answer(200, `{"data":null}`), "without keys"},
		{"success with other data", answer(200, `{"data":{"x":1}}`), "without keys"},
		{"truncated", answer(200, `{"data":{"keys":["K`), "unreadable answer"},
		{"names that are no strings", answer(200, `{"data":{"keys":[1]}}`), "not a string"},
		{"connection lost", hangUp, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := p.rig(t, nil)
			r.store("K1", entry(t, 1, keystore.Active))
			r.want("K1 active")
			r.proxy.fail(c.fault)
			r.wantError(c.reason)
			r.proxy.fail(nil)
			r.want("K1 active")
		})
	}
	// The same on the way to one key, after the list went well.
	for _, part := range []string{"metadata", "data"} {
		t.Run("on "+part, func(t *testing.T) {
			t.Parallel()
			r := p.rig(t, nil)
			r.store("K1", entry(t, 1, keystore.Active))
			r.want("K1 active")
			r.store("K2", entry(t, 2, keystore.Prepared))
			r.proxy.fail(func(w http.ResponseWriter, q *http.Request) bool {
				return kind(q) == part && strings.HasSuffix(q.URL.Path, "K2") && answer(503, `{"errors":["Vault is sealed"]}`)(w, q)
			})
			r.wantError("reading secret/"+part+"/", "Vault is sealed")
			r.proxy.fail(nil)
			r.want("K1 active, K2 prepared")
		})
	}
	// A maintenance page in JSON must not pass for an entry without a key.
	for _, part := range []string{"metadata", "data"} {
		t.Run("an empty answer for "+part, func(t *testing.T) {
			t.Parallel()
			r := p.rig(t, nil)
			r.store("K1", entry(t, 1, keystore.Active))
			r.want("K1 active")
			r.store("K1", entry(t, 1, keystore.Active))
			r.proxy.fail(func(w http.ResponseWriter, q *http.Request) bool {
				return kind(q) == part && answer(200, `{"data":{"status":"maintenance"}}`)(w, q)
			})
			r.wantError("reading secret/"+part+"/", "answer without")
			r.proxy.fail(nil)
			r.want("K1 active")
		})
	}
	t.Run("at the first log-in", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, func(r *rig) { r.useAppRole(nil) })
		r.store("K1", entry(t, 1, keystore.Active))
		r.proxy.fail(answer(503, `{"errors":["Vault is sealed"]}`))
		r.wantError("logging in to Vault", "503: Vault is sealed")
		r.proxy.fail(nil)
		r.forward(2 * time.Second)
		r.want("K1 active")
	})
	t.Run("silence ends with the context", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, nil)
		r.store("K1", entry(t, 1, keystore.Active))
		r.want("K1 active")
		r.proxy.fail(func(_ http.ResponseWriter, q *http.Request) bool {
			<-q.Context().Done()
			return true
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, _, err := r.source.Load(ctx, acme); err == nil {
			t.Error("Load succeeded")
		}
	})
	t.Run("silence ends with the timeout", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, func(r *rig) { r.config.Timeout = 100 * time.Millisecond })
		r.store("K1", entry(t, 1, keystore.Active))
		r.proxy.fail(func(_ http.ResponseWriter, q *http.Request) bool {
			<-q.Context().Done()
			return true
		})
		r.wantError("deadline exceeded")
	})
}
