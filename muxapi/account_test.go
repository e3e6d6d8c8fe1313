package muxapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/muxapi"
)

// line is the pace of an account: turns are taken in the order of asking, and
// none that comes too late.
type line struct {
	mu   sync.Mutex
	next time.Time
}

func (l *line) turn(ctx context.Context, _ string, every time.Duration) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delay := max(0, time.Until(l.next))
	if end, ok := ctx.Deadline(); ok && delay > time.Until(end) {
		return 0, context.DeadlineExceeded
	}
	l.next = time.Now().Add(delay + every)
	return delay, nil
}

// newClients returns two clients of one account, as two environments have them.
func newClients(t *testing.T) (one, two *muxapi.Client) {
	t.Helper()
	account, shared := muxapi.NewAccount(), &line{}
	with := func(id string) *muxapi.Client {
		m, client := newMux(t, func(c *muxapi.Config) { c.TokenID, c.Account, c.Turn = id, account, shared.turn })
		m.answerWith("GET", 404, `{}`)
		return client
	}
	return with("one"), with("two")
}

// flood makes a client look up more than an account can answer, until the
// context ends.
func flood(ctx context.Context, wg *sync.WaitGroup, c *muxapi.Client) {
	for range 200 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = c.GetPlaybackID(muxapi.LookUp(ctx), "Random")
			}
		})
	}
	synctest.Wait()
}

// TestLookUpsLeaveHalfOfThePaceToTheBackground: of five requests a second.
func TestLookUpsLeaveHalfOfThePaceToTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := newClients(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		flood(ctx, &wg, one)
		for _, client := range []*muxapi.Client{one, two} {
			began := time.Now()
			for range 20 {
				_, _ = client.GetAsset(muxapi.Background(t.Context()), "A1")
			}
			if took := time.Since(began); took > 9*time.Second {
				t.Errorf("20 requests in the background took %s of the account's time, want 8 s at most, half of the pace", took)
			}
		}
		cancel()
		wg.Wait()
	})
}

// TestLookUpsOfOneEnvironmentLeaveAnothersTheirTurn, and requests that are
// neither, such as those about signing keys.
func TestLookUpsOfOneEnvironmentLeaveAnothersTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := newClients(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		flood(ctx, &wg, one)
		for what, ctx := range map[string]context.Context{"a look-up": muxapi.LookUp(t.Context()), "a direct request": t.Context()} {
			began := time.Now()
			_, _ = two.GetPlaybackID(ctx, "P1")
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s of the other environment took %s, want less than a second", what, took)
			}
		}
		cancel()
		wg.Wait()
	})
}

// TestTheBackgroundLeavesLookUpsTheirTurn: a thousand environments that read
// their catalogues.
func TestTheBackgroundLeavesLookUpsTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := newClients(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { _, _ = one.GetAsset(muxapi.Background(ctx), "A1") })
		}
		synctest.Wait()
		began := time.Now()
		_, _ = two.GetPlaybackID(muxapi.LookUp(t.Context()), "P1")
		if took := time.Since(began); took > time.Second {
			t.Errorf("a look-up took %s beside a thousand readings, want less than a second", took)
		}
		cancel()
		wg.Wait()
	})
}

// TestMuxIsAWitnessOfTheTime, where the connection proves that it is Mux.
func TestMuxIsAWitnessOfTheTime(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	for base, want := range map[string]int{"https://api.example": 1, "http://api.example": 0} {
		synctest.Test(t, func(t *testing.T) {
			var told []time.Time
			m, client := newMux(t, func(c *muxapi.Config) {
				c.BaseURL, c.Witness = base, func(at time.Time) { told = append(told, at) }
			})
			m.instead = func(*http.Request) (*http.Response, error) {
				recorder := httptest.NewRecorder()
				recorder.Header().Set("Date", at.UTC().Format(http.TimeFormat))
				_, _ = recorder.WriteString(`{"data":{}}`)
				return recorder.Result(), nil
			}
			if _, err := client.WhoAmI(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(told) != want || want > 0 && !told[0].Equal(at) {
				t.Errorf("%s: told %v", base, told)
			}
		})
	}
}
