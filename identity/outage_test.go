package identity_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
)

const unavailable = playback.CodeIssuerUnavailable

// TestIssuerThatNeverLoadedIsUnavailable: 503 with Retry-After, not 401, for
// good and bad tokens alike; the first success ends it, within 30 seconds.
func TestIssuerThatNeverLoadedIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := new(replaceable)
		server.set(down())
		v := bubble(t, network{host: server}, trust(prod))
		for range 100 {
			raw := sign(t, p, nil)
			_, err := verify(v, raw, prod)
			refusal, ok := errors.AsType[*playback.Error](err)
			if !ok || refusal.Code != unavailable || refusal.Kind != playback.ServiceUnavailable ||
				refusal.RetryAfter < time.Second || refusal.RetryAfter > 30*time.Second {
				t.Fatalf("Verify() = %#v, want %s with RetryAfter of 1 to 30 s", refusal, unavailable)
			}
			time.Sleep(7 * time.Second)
		}
		wantCode(t, v, sign(t, p, map[string]any{"exp": time.Now().Unix() - 60}), unavailable)
		wantCode(t, v, unknownKid(t, 1), unavailable)
		wantCode(t, v, "x", invalid)
		server.set(p)
		time.Sleep(34 * time.Second) // 30 and the jitter
		wantCode(t, v, sign(t, p, nil), "")
	})
}

// TestFirstRequestWaitsForTheFirstLoad, for two seconds at most.
func TestFirstRequestWaitsForTheFirstLoad(t *testing.T) {
	t.Parallel()
	for delay, want := range map[time.Duration]playback.Code{time.Second: "", 3 * time.Second: unavailable} {
		synctest.Test(t, func(t *testing.T) {
			p := provider(t, nil)
			v := identity.New(identity.Config{InsecureTransport: network{host: slow(delay, p)}})
			defer v.Stop()
			if err := v.SetIssuers([]identity.Issuer{trust(prod)}); err != nil {
				t.Fatal(err)
			}
			wantCode(t, v, sign(t, p, nil), unavailable) // not started: nothing to wait for
			v.Start(t.Context())
			begin := time.Now()
			wantCode(t, v, sign(t, p, nil), want)
			if waited := time.Since(begin); waited != min(delay, 2*time.Second) {
				t.Errorf("a first load of %s made the request wait %s", delay, waited)
			}
		})
	}
}

// TestLastGoodKeysServe24Hours, then 503, also for remembered identities.
func TestLastGoodKeysServe24Hours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := new(replaceable)
		server.set(p)
		week := trust(prod)
		week.MaxLifetime = 7 * 24 * time.Hour
		v := bubble(t, network{host: server}, week)
		raw := sign(t, p, map[string]any{"exp": time.Now().Add(48 * time.Hour).Unix()})
		broken := []http.Handler{down(), garbage("{}"), garbage("<html>"), garbage(`{"keys":null}`), garbage(`{"keys":{}}`), garbage("")}
		begin := time.Now()
		for n := 0; time.Since(begin) < 23*time.Hour; n++ {
			server.set(broken[n%len(broken)])
			wantCode(t, v, raw, "")
			time.Sleep(13 * time.Minute)
		}
		time.Sleep(24*time.Hour - time.Minute - time.Since(begin))
		wantCode(t, v, raw, "")
		if !remembers(v, raw) {
			t.Error("not remembered after 23:59")
		}
		time.Sleep(time.Minute + time.Nanosecond)
		if remembers(v, raw) {
			t.Error("remembered after 24 hours without keys")
		}
		wantCode(t, v, raw, unavailable)
		server.set(p)
		time.Sleep(34 * time.Second)
		wantCode(t, v, raw, "")
	})
}

func garbage(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(body))
	})
}
