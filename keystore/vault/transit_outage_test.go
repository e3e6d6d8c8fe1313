package vault_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

func (r *transitRig) calls() int { return r.proxy.count("/v1/transit/sign/" + r.prefix + ".acme.K1") }

func TestTransitOutlastsEveryOutage(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	server.Transit("transit")
	r := (&prefixes{server: server}).transit(t, nil)
	r.give("K1", 1, keystore.Active)
	signer := r.active().Remote
	signs := func() bool {
		_, err := signer.Sign(t.Context(), digestsOf("x"))
		return err == nil
	}
	fails := func(what, reason string) {
		t.Helper()
		r.wantUnavailable(signer, reason)
		begun := time.Now()
		for range 20 {
			if signs() {
				t.Errorf("%s: it signs", what)
			}
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%s: 20 refusals took %s", what, took)
		}
	}
	if !signs() {
		t.Fatal("it does not sign")
	}
	server.Seal()
	fails("sealed", "sealed")
	server.Unseal()
	r.eventually("it signs when it is unsealed", signs)
	server.Kill()
	fails("killed", "transit/sign")
	server.Restart()
	r.forward(2 * time.Second)
	fails("restarted, but sealed", "sealed")
	server.Unseal()
	r.eventually("it signs when it is restarted and unsealed", signs)
	if got := r.active(); got.Remote != signer {
		t.Error("the key got another signer")
	}
}

// breaking is about a Vault that cannot sign now.
func breaking(t *testing.T, p *prefixes) {
	for _, c := range []struct {
		name string
		test func(*transitRig, keystore.Signer)
	}{
		{"silence is asked again only now and then", silent},
		{"429 with Retry-After is obeyed", func(r *transitRig, signer keystore.Signer) {
			r.proxy.fail(tooMany("7"))
			if wait := r.wantUnavailable(signer, "Vault answered 429"); wait < 6*time.Second || wait > 7*time.Second {
				r.Errorf("RetryAfter = %s, want 7 s", wait)
			}
			r.wantUnavailable(signer, "wants no request")
			if n := r.calls(); n != 1 {
				r.Errorf("%d calls, want 1", n)
			}
			r.want("K1 active") // reading keys goes on
			r.proxy.fail(nil)
			r.forward(8 * time.Second)
			r.signs(signer)
		}},
		{"429 without Retry-After does not stop everybody", func(r *transitRig, signer keystore.Signer) {
			r.proxy.fail(tooMany(""))
			for range 5 {
				r.wantUnavailable(signer, "Vault answered 429")
			}
			if n := r.calls(); n != 5 {
				r.Errorf("%d calls, want 5", n)
			}
			r.proxy.fail(nil)
			r.signs(signer)
		}},
		{"what is no answer is not believed", func(r *transitRig, signer keystore.Signer) {
			for body, reason := range map[string]string{
				`<html>`:                                      "invalid character",
				`{"data":{}}`:                                 "answer without results",
				`{"data":{"batch_results":[]}}`:               "0 results for 1 digest",
				results(`"x":1`):                              `begins with ""`,
				results(`"error":"no such key"`):              "transit refused to sign: no such key",
				results(`"signature":"vault:v2:AAAA"`):        `begins with "vault:v2:AAA"`,
				results(`"signature":"vault:v1:!"`):           "no base64",
				`{"data":{"batch_results":[{"signature":"vau`: "unexpected EOF",
			} {
				r.proxy.fail(func(w http.ResponseWriter, q *http.Request) bool {
					if isSign(q) {
						_, _ = w.Write([]byte(body)) // the client may be gone
					}
					return isSign(q)
				})
				r.forward(2 * time.Second) // past the breaker
				r.wantUnavailable(signer, reason)
			}
			r.proxy.fail(nil)
			r.forward(2 * time.Second)
			r.signs(signer)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := p.transit(t, func(r *rig) { r.config.SignTimeout = 100 * time.Millisecond })
			r.give("K1", 1, keystore.Active)
			c.test(r, r.active().Remote)
		})
	}
}

func results(member string) string { return `{"data":{"batch_results":[{` + member + `}]}}` }

func isSign(q *http.Request) bool { return strings.Contains(q.URL.Path, "/sign/") }

func (r *transitRig) signs(signer keystore.Signer) {
	r.Helper()
	_, err := signer.Sign(r.Context(), digestsOf("x"))
	r.check(err)
}

// tooMany answers 429 to signing.
func tooMany(after string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, q *http.Request) bool {
		if !isSign(q) {
			return false
		}
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
}

func silent(r *transitRig, signer keystore.Signer) {
	r.proxy.fail(func(_ http.ResponseWriter, q *http.Request) bool {
		if isSign(q) {
			_, _ = io.Copy(io.Discard, q.Body) // else the server does not notice that the client is gone
			<-q.Context().Done()
		}
		return isSign(q)
	})
	for range 3 {
		r.wantUnavailable(signer, "deadline exceeded")
	}
	for range 5 {
		if wait := r.wantUnavailable(signer, "was not asked"); wait <= 0 || wait > time.Second {
			r.Errorf("RetryAfter = %s, want up to 1 s", wait)
		}
	}
	r.forward(time.Second)
	r.wantUnavailable(signer, "deadline exceeded") // one is tried
	r.wantUnavailable(signer, "was not asked")
	if n := r.calls(); n != 4 {
		r.Errorf("%d calls, want 4", n)
	}
	r.proxy.fail(nil)
	r.forward(time.Second)
	r.signs(signer)
	r.signs(signer)
}

// etiquette is about what answers say beside their content.
func etiquette(t *testing.T, p *prefixes) {
	t.Run("429 with Retry-After is obeyed", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, nil)
		r.store("K1", entry(t, 1, keystore.Active))
		r.want("K1 active")
		r.proxy.fail(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "20")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		r.wantError("Vault answered 429")
		asked := r.proxy.count("list")
		r.proxy.fail(nil)
		r.wantError("429", "no request for another 20s")
		if n := r.proxy.count("list"); n != asked {
			r.Error("Vault was asked all the same")
		}
		r.forward(21 * time.Second)
		r.want("K1 active")
	})
	for name, c := range map[string]struct {
		ahead time.Duration
		want  string
	}{
		"a minute is nothing":     {58 * time.Second, ""},
		"a clock that is ahead":   {5 * time.Minute, "the clock of this machine is about 5m ahead of Vault's, so tokens end too late"},
		"a clock that is behind":  {-2 * time.Hour, "the clock of this machine is about 2h behind Vault's, so tokens end too early"},
		"and the other way round": {-58 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := p.rig(t, nil)
			r.store("K1", entry(t, 1, keystore.Active))
			r.forward(c.ahead)
			_, problems, err := keystore.Load(t.Context(), r.source, acme)
			r.check(err)
			var texts []string
			for _, problem := range problems {
				texts = append(texts, problem.Reason)
				if problem.Warning || problem.Path != r.proxy.url {
					t.Errorf("%+v is no alarm about Vault's address", problem)
				}
			}
			if got := strings.Join(texts, "; "); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("problems %q, want %q", got, c.want)
			}
		})
	}
}

// TestARealQuotaIsAnErrorAndPasses meets Vault's own limits, which come without
// a header by default.
func TestARealQuotaIsAnErrorAndPasses(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string]bool{"without headers": false, "with headers": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := vaulttest.Dev(t)
			r := (&prefixes{server: server}).rig(t, func(r *rig) { r.config.Timeout = 2 * time.Second })
			r.store("K1", entry(t, 1, keystore.Active))
			r.want("K1 active")
			logical := server.Client().Logical()
			_, err := logical.WriteWithContext(t.Context(), "sys/quotas/config", map[string]any{"enable_rate_limit_response_headers": headers})
			r.check(err)
			_, err = logical.WriteWithContext(t.Context(), "sys/quotas/rate-limit/keys", map[string]any{"path": "secret", "rate": 4, "interval": "2s"})
			r.check(err)
			r.eventually("the limit is met", func() bool {
				_, _, err := r.load()
				return err != nil && strings.Contains(err.Error(), "429")
			})
			r.eventually("the limit is over", func() bool {
				keys, _, err := r.load()
				return err == nil && keys == "K1 active"
			})
		})
	}
}
