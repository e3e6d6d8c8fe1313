package identity_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	}{
		{"", 5 * time.Minute},
		{"no-store", 5 * time.Minute},
		{"public, max-age=120", 2 * time.Minute},
		{`MAX-AGE="120", must-revalidate`, 2 * time.Minute},
		{"max-age=0", time.Minute},
		{"max-age=86400", 5 * time.Minute},
		{"max-age=-1", 5 * time.Minute},
		{"max-age=99999999999999999999", 5 * time.Minute},
		{"s-maxage=60", 5 * time.Minute},
	} {
		t.Run(c.control, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := provider(t, nil)
				var times []time.Time
				server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					times = append(times, time.Now())
					if c.control != "" {
						w.Header().Set("Cache-Control", c.control)
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
