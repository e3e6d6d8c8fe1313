package identity_test

import (
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/identity"
)

// TestKeySetsAreWitnessesOfTheTime, where the connection proves whose they are,
// and no cache answers for them.
func TestKeySetsAreWitnessesOfTheTime(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		scheme string
		header http.Header
		want   bool
	}{
		"https":        {"https", http.Header{"Date": {at.UTC().Format(http.TimeFormat)}}, true},
		"loopback":     {"http", http.Header{"Date": {at.UTC().Format(http.TimeFormat)}}, false},
		"from a cache": {"https", http.Header{"Date": {at.UTC().Format(http.TimeFormat)}, "Age": {"0"}}, false},
		"no date":      {"https", http.Header{}, false},
		"none":         {"https", http.Header{"Date": {"now"}}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := provider(t, nil)
			var mu sync.Mutex
			var told []time.Time
			issuer := trust(prod)
			issuer.JWKSURL = c.scheme + "://127.0.0.1/jwks.json"
			start(t, identity.Config{
				InsecureTransport: network{"127.0.0.1": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					maps.Copy(w.Header(), c.header)
					p.ServeHTTP(w, r)
				})},
				Witness: func(at time.Time) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, at)
				},
			}, issuer)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if c.want && (len(told) == 0 || !told[0].Equal(at)) || !c.want && len(told) > 0 {
				t.Errorf("%s: told %v", name, told)
			}
		})
	}
}
