package identity_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/identity"
)

// unknownKid is a token whose kid nobody has.
func unknownKid(t testing.TB, n int) string {
	t.Helper()
	other := provider(t, nil)
	return compact(t, other, fmt.Sprintf(`{"alg":"ES256","kid":"unknown-%d"}`, n),
		payload(t, map[string]any{"exp": time.Now().Unix() + 3600}))
}

// TestUnknownKidRefreshesOncePer30Seconds, however many tokens ask for it.
func TestUnknownKidRefreshesOncePer30Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := &counted{Handler: p}
		v := bubble(t, network{host: server}, trust(prod))
		wantFetches := func(want int64) {
			t.Helper()
			if got := server.requests.Load(); got != want {
				t.Fatalf("%d fetches, want %d", got, want)
			}
		}
		wantFetches(1)
		wantCode(t, v, sign(t, p, nil), "")
		wantFetches(1)

		if _, err := p.Rotate("ES256"); err != nil { // right after the first load
			t.Fatal(err)
		}
		wantCode(t, v, sign(t, p, nil), "")
		wantFetches(2)
		for n := range 50 {
			wantCode(t, v, unknownKid(t, n), invalid)
		}
		wantFetches(2)
		time.Sleep(30*time.Second - time.Nanosecond)
		wantCode(t, v, unknownKid(t, 0), invalid)
		wantFetches(2)
		time.Sleep(time.Nanosecond)
		if _, err := p.Rotate("EdDSA"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, v, sign(t, p, nil), "")
		wantFetches(3)
		wantCode(t, v, unknownKid(t, 0), invalid)
		wantFetches(3)
	})
}

// TestOnlyTokensThatCouldStandCauseARefresh: a bad signature under a known
// kid, an expired token or one for somebody else does not.
func TestOnlyTokensThatCouldStandCauseARefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := &counted{Handler: p}
		v := bubble(t, network{host: server}, trust(prod))
		evil := provider(t, nil)
		now := time.Now().Unix()
		unknown := func(changes map[string]any) string {
			return compact(t, evil, `{"alg":"ES256","kid":"x"}`, payload(t, changes))
		}
		wantCode(t, v, sign(t, evil, nil), invalid) // the same kid
		wantCode(t, v, unknown(map[string]any{"exp": now - 60}), invalid)
		wantCode(t, v, unknown(map[string]any{"exp": now + 100*3600}), invalid)
		wantCode(t, v, unknown(map[string]any{"exp": now + 60, "nbf": now + 50}), invalid)
		wantCode(t, v, unknown(map[string]any{"exp": now + 60, "aud": "other"}), invalid)
		wantCode(t, v, unknown(map[string]any{"exp": now + 60, "iss": "https://other.example"}), invalid)
		if got := server.requests.Load(); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
		wantCode(t, v, unknown(map[string]any{"exp": now + 60}), invalid)
		if got := server.requests.Load(); got != 2 {
			t.Errorf("%d fetches, want 2: the last one is worth it", got)
		}
	})
}

// TestUnknownKidsShareOneFlight: all who wait get the key from one fetch.
func TestUnknownKidsShareOneFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := &counted{Handler: slow(time.Second, p)}
		v := bubble(t, network{host: server}, trust(prod))
		if _, err := p.Rotate("ES256"); err != nil {
			t.Fatal(err)
		}
		raw := sign(t, p, nil)
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { wantCode(t, v, raw, "") })
		}
		group.Wait()
		if got := server.requests.Load(); got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
	})
}

// TestKeyPublishedDuringARefreshIsFound: the refresh under way read the set
// before the key was in it, so the request asks for one more.
func TestKeyPublishedDuringARefreshIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		v := bubble(t, network{host: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			body, err := p.JWKS()
			if err != nil {
				t.Error(err)
			}
			time.Sleep(500 * time.Millisecond) // it was read, and is on its way
			w.Write(body)
		})}, trust(prod))
		if err := v.SetIssuers([]identity.Issuer{trust(prod)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := p.Rotate("ES256"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, v, sign(t, p, nil), "")
	})
}

// TestSlowIssuerDelaysUnknownKidsOnly, for two seconds; not known keys, and
// not the viewers of another issuer.
func TestSlowIssuerDelaysUnknownKidsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, q := provider(t, nil), otherProvider(t, nil)
		server := new(replaceable)
		server.set(p)
		v := bubble(t, network{host: server, "idp.other.example": q}, trust(prod), other())
		server.set(hanging())
		took := func(f func()) time.Duration {
			begin := time.Now()
			f()
			return time.Since(begin)
		}
		raw, unknown, qRaw := sign(t, p, nil), unknownKid(t, 1), sign(t, q, nil)
		var group sync.WaitGroup
		group.Go(func() {
			if d := took(func() { wantCode(t, v, unknown, invalid) }); d != 2*time.Second {
				t.Errorf("an unknown kid took %s, want 2s", d)
			}
		})
		time.Sleep(time.Millisecond)
		if d := took(func() { wantCode(t, v, raw, "") }); d != 0 {
			t.Errorf("a known kid took %s", d)
		}
		if d := took(func() { mustVerify(t, v, qRaw, staging) }); d != 0 {
			t.Errorf("another issuer's viewer took %s", d)
		}
		if d := took(func() { reloadUnwaited(t, v, trust(prod), other()) }); d != 0 {
			t.Errorf("a reload took %s", d)
		}
		group.Wait()
	})
}

func reloadUnwaited(t *testing.T, v *identity.Verifier, issuers ...identity.Issuer) {
	t.Helper()
	if err := v.SetIssuers(issuers); err != nil {
		t.Error(err)
	}
}

// TestWaitersAreBounded: a flood of unknown kids does not park one goroutine
// each.
func TestWaitersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := new(replaceable)
		server.set(p)
		v := bubble(t, network{host: server}, trust(prod))
		server.set(hanging())
		raw := unknownKid(t, 1)
		var waited, atOnce atomic.Int64
		var group sync.WaitGroup
		for range identity.MaxWaiters + 44 {
			group.Go(func() {
				begin := time.Now()
				wantCode(t, v, raw, invalid)
				if time.Since(begin) == 0 {
					atOnce.Add(1)
				} else {
					waited.Add(1)
				}
			})
		}
		group.Wait()
		if waited.Load() != identity.MaxWaiters || atOnce.Load() != 44 {
			t.Errorf("%d waited and %d did not, want %d and 44", waited.Load(), atOnce.Load(), identity.MaxWaiters)
		}
	})
}

// TestEmptySetWithdrawsAllKeys: unlike a failure it is an answer.
func TestEmptySetWithdrawsAllKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := new(replaceable)
		server.set(p)
		v := bubble(t, network{host: server}, trust(prod))
		raw := sign(t, p, nil)
		mustVerify(t, v, raw, prod)
		server.set(garbage(`{"keys":[]}`))
		reload(t, v)
		if remembers(v, raw) {
			t.Error("remembered though all keys are withdrawn")
		}
		wantCode(t, v, raw, invalid)
	})
}

// TestKeySetIsRefreshedInTheBackground, every five minutes give or take a
// tenth; a shorter max-age makes it more frequent, down to a minute; a longer
// one does not delay the withdrawal of keys.
func TestKeySetIsRefreshedInTheBackground(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		control string
		every   time.Duration
		more    []string // further header lines
	}{
		{"", 5 * time.Minute, nil},
		{"no-store", 5 * time.Minute, nil},
		{"public, max-age=120", 2 * time.Minute, nil},
		{`MAX-AGE="120", must-revalidate`, 2 * time.Minute, nil},
		{"max-age=0", time.Minute, nil},
		{"max-age=86400", 5 * time.Minute, nil},
		{"max-age=-1", 5 * time.Minute, nil},
		{"max-age=99999999999999999999", 5 * time.Minute, nil},
		{"s-maxage=60", 5 * time.Minute, nil},
		{"max-age=240", 2 * time.Minute, []string{"Age", "120"}},
		{"max-age=240", time.Minute, []string{"Age", "3600"}},
		{"max-age=240", 4 * time.Minute, []string{"Age", "old"}},
		{"public", 2 * time.Minute, []string{"Cache-Control", "max-age=120"}},
	} {
		t.Run(c.control+strings.Join(c.more, " "), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := provider(t, nil)
				var times []time.Time
				server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					times = append(times, time.Now())
					if c.control != "" {
						w.Header().Set("Cache-Control", c.control)
					}
					if len(c.more) > 0 {
						w.Header().Add(c.more[0], c.more[1])
					}
					p.ServeHTTP(w, r)
				})
				v := bubble(t, network{host: server}, trust(prod))
				time.Sleep(time.Hour)
				v.Stop()
				distinct := make(map[time.Duration]bool)
				for n := 1; n < len(times); n++ {
					gap := times[n].Sub(times[n-1])
					if gap < c.every*9/10 || gap > c.every*11/10 {
						t.Errorf("refreshed after %s, want %s ± 10%%", gap, c.every)
					}
					distinct[gap] = true
				}
				if len(distinct) < 5 {
					t.Errorf("%d different gaps in an hour: no jitter", len(distinct))
				}
			})
		})
	}
}

// TestFailuresBackOff to 30 seconds.
func TestFailuresBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &counted{Handler: down()}
		bubble(t, network{host: server}, trust(prod))
		time.Sleep(time.Minute)
		if n := server.requests.Load(); n < 5 || n > 8 {
			t.Errorf("%d attempts in the first minute, want 5 to 8", n)
		}
		time.Sleep(time.Hour)
		if n := server.requests.Load(); n < 110 || n > 145 {
			t.Errorf("%d attempts in the first hour, want about 125", n)
		}
	})
}

// TestEnvironmentsShareAFetcher that name the same URL.
func TestEnvironmentsShareAFetcher(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := &counted{Handler: p}
		v := bubble(t, network{host: server}, trust(prod), trust(staging), trust("acme-dev"))
		if n := server.requests.Load(); n != 1 {
			t.Errorf("%d fetches for three environments, want 1", n)
		}
		reload(t, v, trust(prod))
		if n := server.requests.Load(); n != 2 {
			t.Errorf("%d fetches after a reload, want 2", n)
		}
		reload(t, v, other())
		before := server.requests.Load()
		time.Sleep(time.Hour)
		if n := server.requests.Load(); n != before {
			t.Errorf("%d fetches of a key set that nobody names any more", n-before)
		}
	})
}

// TestSettledEndsWithItsContext, also while an issuer hangs.
func TestSettledEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := identity.New(identity.Config{InsecureTransport: network{host: hanging()}})
		defer v.Stop()
		if err := v.SetIssuers([]identity.Issuer{trust(prod)}); err != nil {
			t.Fatal(err)
		}
		v.Start(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		if err := v.Settled(ctx); err == nil || time.Since(begin) != 3*time.Second {
			t.Errorf("Settled() = %v after %s", err, time.Since(begin))
		}
		time.Sleep(8 * time.Second) // the fetch gives up after 10
		if err := v.Settled(t.Context()); err != nil {
			t.Errorf("Settled() = %v, want nil once the attempt is over", err)
		}
	})
}

// TestLifecycle: what Start and Stop do in any order.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := &counted{Handler: p}
		n := network{host: server}

		unused := identity.New(identity.Config{})
		unused.Stop()
		unused.Start(t.Context())
		unused.Stop()

		v := bubble(t, n, trust(prod))
		v.Start(t.Context()) // once more: nothing
		raw := sign(t, p, nil)
		mustVerify(t, v, raw, prod)
		var group sync.WaitGroup
		for range 4 {
			group.Go(v.Stop)
		}
		group.Wait()
		before := server.requests.Load()
		time.Sleep(time.Hour)
		wantCode(t, v, sign(t, p, nil), "") // goes on with what is loaded
		wantCode(t, v, unknownKid(t, 1), invalid)
		reload(t, v, trust(prod), trust(staging))
		if n := server.requests.Load(); n != before {
			t.Errorf("%d fetches after Stop", n-before)
		}

		slow := identity.New(identity.Config{InsecureTransport: network{host: hanging()}})
		if err := slow.SetIssuers([]identity.Issuer{trust(prod)}); err != nil {
			t.Fatal(err)
		}
		slow.Start(t.Context())
		synctest.Wait()
		begin := time.Now()
		slow.Stop() // ends the fetch under way
		if took := time.Since(begin); took != 0 {
			t.Errorf("Stop took %s", took)
		}
	})
}

// TestRetryAfterIsObeyed after a failure, between the ordinary wait for another
// try and the ordinary interval; also where an unknown kid would ask sooner.
func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		header      func(http.Header)
		least, most time.Duration // until the next request
	}{
		"nothing":            {func(http.Header) {}, 900 * time.Millisecond, 1100 * time.Millisecond},
		"seconds":            {func(h http.Header) { h.Set("Retry-After", "120") }, 2 * time.Minute, 144 * time.Second},
		"a date":             {func(h http.Header) { h.Set("Retry-After", date(2*time.Minute)) }, 2 * time.Minute, 144 * time.Second},
		"less than our wait": {func(h http.Header) { h.Set("Retry-After", "0") }, 900 * time.Millisecond, 1100 * time.Millisecond},
		"a date of the past": {func(h http.Header) { h.Set("Retry-After", date(-time.Hour)) }, 900 * time.Millisecond, 1100 * time.Millisecond},
		"a day":              {func(h http.Header) { h.Set("Retry-After", "86400") }, 5 * time.Minute, 6 * time.Minute},
		"garbage":            {func(h http.Header) { h.Set("Retry-After", "soon") }, 900 * time.Millisecond, 1100 * time.Millisecond},
		"a number too large": {func(h http.Header) { h.Set("Retry-After", "99999999999999999999") }, 900 * time.Millisecond, 1100 * time.Millisecond},
		"a clock that is an hour ahead": {func(h http.Header) {
			h.Set("Date", date(time.Hour))
			h.Set("Retry-After", date(time.Hour+2*time.Minute))
		}, 2 * time.Minute, 144 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var times []time.Time
				p := provider(t, nil)
				v := bubble(t, network{host: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					times = append(times, time.Now())
					c.header(w.Header())
					w.WriteHeader(http.StatusTooManyRequests)
				})}, trust(prod))
				wantCode(t, v, sign(t, p, nil), unavailable)
				time.Sleep(10 * time.Minute)
				v.Stop()
				// The token above asks once where the server did not forbid it.
				gap := times[1].Sub(times[0])
				if c.least < 2*time.Second {
					gap = times[2].Sub(times[1])
					c.least, c.most = 2*c.least, 2*c.most
				}
				if gap < c.least || gap > c.most {
					t.Errorf("asked again after %s, want %s to %s", gap, c.least, c.most)
				}
			})
		})
	}
}

// TestUnknownKidsObeyRetryAfter: they are how strangers could keep an issuer's
// rate limit shut. The keys that are loaded stay in use, and once the time is
// over one may ask again.
func TestUnknownKidsObeyRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := new(replaceable)
		server.set(p)
		v := bubble(t, network{host: server}, trust(prod))
		raw := sign(t, p, nil)
		limited := &counted{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "100")
			w.WriteHeader(http.StatusTooManyRequests)
		})}
		server.set(limited)
		wantCode(t, v, unknownKid(t, 1), invalid)
		if n := limited.requests.Load(); n != 1 {
			t.Fatalf("%d requests, want 1", n)
		}
		time.Sleep(99 * time.Second)
		wantCode(t, v, unknownKid(t, 2), invalid)
		wantCode(t, v, raw, "")
		if n := limited.requests.Load(); n != 1 {
			t.Errorf("%d requests within Retry-After, want 1", n)
		}
		time.Sleep(time.Second)
		wantCode(t, v, unknownKid(t, 3), invalid)
		if n := limited.requests.Load(); n != 2 {
			t.Errorf("%d requests after Retry-After, want 2", n)
		}
	})
}

// TestEmptySetIsAnError in the log, and in the metrics, whatever the reason why
// no key can be used; it is over when keys come back.
func TestEmptySetIsAnError(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]string{
		"no keys":                  `{"keys":[]}`,
		"only keys for encryption": `{"keys":[{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}]}`,
		"only bad keys":            `{"keys":[{"kty":"oct","k":"AAAA"},null]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, registry, server := provider(t, nil), prometheus.NewPedanticRegistry(), new(replaceable)
				server.set(p)
				var log bytes.Buffer
				v := start(t, identity.Config{
					InsecureTransport: network{host: server}, Registerer: registry, Logger: slog.New(slog.NewTextHandler(&log, nil)),
				}, trust(prod))
				check := func(errors int, keys, emptied float64) {
					t.Helper()
					if got := strings.Count(log.String(), "level=ERROR"); got != errors {
						t.Errorf("%d errors in the log, want %d:\n%s", got, errors, log.String())
					}
					if got := gather(t, registry, "playgate_jwks_usable_keys", "environment")[string(prod)]; got != keys {
						t.Errorf("playgate_jwks_usable_keys = %v, want %v", got, keys)
					}
					if got := gather(t, registry, "playgate_jwks_refresh_total", "result")["emptied"]; got != emptied {
						t.Errorf("playgate_jwks_refresh_total{result=emptied} = %v, want %v", got, emptied)
					}
				}
				check(0, 1, 0)
				server.set(garbage(empty))
				reload(t, v)
				check(1, 0, 1)
				wantCode(t, v, sign(t, p, nil), invalid)
				time.Sleep(20 * time.Minute)
				check(1, 0, 1)
				server.set(p)
				reload(t, v)
				check(1, 1, 1)
				wantCode(t, v, sign(t, p, nil), "")
			})
		})
	}
}
