package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/store/storetest"
)

// counter notes when a simulated Mux is asked, and what it answers.
type counter struct {
	sim http.Handler

	mu    sync.Mutex
	asked []time.Time
	told  time.Time // when somebody was told to wait
	early int       // requests that came although all knew
}

// After a 429, whose Retry-After is told, all know after heard: a look-up may
// have had its turn, at most two seconds ahead, on another replica.
const (
	told  = 4 * time.Second
	heard = 2 * time.Second
)

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	recorder := httptest.NewRecorder()
	c.sim.ServeHTTP(recorder, r)
	c.mu.Lock()
	c.asked = append(c.asked, now)
	if since := now.Sub(c.told); since > heard && since < told {
		c.early++
	}
	if recorder.Code == http.StatusTooManyRequests {
		c.told = now
	}
	c.mu.Unlock()
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(recorder.Body.Bytes())
}

// figures returns how many requests came, how many of them within any time of
// that length, and how many although all knew. The gateways may still ask.
func (c *counter) figures(within time.Duration) (asked, most, early int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := 0
	for i, at := range c.asked {
		for at.Sub(c.asked[first]) >= within {
			first++
		}
		most = max(most, i-first+1)
	}
	return len(c.asked), most, c.early
}

// TestTwoGatewaysShareMuxsPace: whatever is asked of either, Mux is asked five
// times a second by both together; and who is told to wait tells the other.
func TestTwoGatewaysShareMuxsPace(t *testing.T) {
	t.Parallel()
	w := newMuxWorld(t, `
        mux: {environment_id: mux1, token_id: muxtoken, token_secret_file: muxsecret, base_url: "MUX"}
        catalog: {unknown: lookup, max_age: 4s}
`)
	counted := &counter{sim: w.Sim}
	api := httptest.NewServer(counted)
	t.Cleanup(api.Close)
	w.files["playgate.yaml"] = strings.ReplaceAll(w.files["playgate.yaml"], w.api, api.URL)
	w.files["playgate.yaml"] += fmt.Sprintf("store: {driver: postgres, dsn: %q}\n", storetest.StartPostgres(t).DSN())
	const films = 40
	for n := range films {
		w.asset(t, fmt.Sprintf("FilmA%d", n), "", muxsim.ID(fmt.Sprintf("FilmP%d", n)))
	}
	replicas := []*gateway{start(t, w.files), start(t, w.files)}
	replicas[0].await("the catalogue was read", func() bool {
		status, _ := askFor(t, replicas[1].url, "FilmP0")
		return status == http.StatusOK
	})
	var wg sync.WaitGroup
	ask := func(n int, until time.Time) {
		for i := 0; time.Now().Before(until); i++ {
			id := fmt.Sprintf("FilmP%d", (7*n+i)%films) // in use, to be checked
			want := http.StatusOK
			if i%3 == 0 {
				id, want = fmt.Sprintf("None%dx%d", n, i), 0 // to be looked up: 404, or 503 where there is no time for it
			}
			status, code := askFor(t, replicas[n%2].url, id)
			if want == http.StatusOK && status != want || want == 0 && status != http.StatusNotFound && status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", id, status, code)
			}
		}
	}
	busy := func(d time.Duration) {
		until := time.Now().Add(d)
		for n := range 6 {
			wg.Go(func() { ask(n, until) })
		}
		wg.Wait()
	}
	busy(4 * time.Second)
	w.Fail(muxsim.Fault{Method: http.MethodGet, Status: http.StatusTooManyRequests, RetryAfter: "4"})
	busy(6 * time.Second)
	const within = 2 * time.Second
	asked, most, early := counted.figures(within)
	t.Logf("%d requests, at most %d within %s; %d before Mux wanted any", asked, most, within, early)
	// Each by itself would make it twenty; a machine that is busy sends some late.
	if limit := 15; most > limit {
		t.Errorf("%d requests within %s, want %d or fewer", most, within, limit)
	}
	if early > 0 {
		t.Errorf("%d requests came while Mux wanted none", early)
	}
	if asked < 25 {
		t.Errorf("only %d requests: nothing was measured", asked)
	}
}
