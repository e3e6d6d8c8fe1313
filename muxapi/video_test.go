package muxapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhenSomethingWasSoIsByMuxsClock, as far as it is known: webhooks are dated
// by it, and the newer of the two counts.
func TestWhenSomethingWasSoIsByMuxsClock(t *testing.T) {
	t.Parallel()
	type step struct {
		date string        // of the answer: how far Mux's clock is from ours, or the header
		want time.Duration // of At, from ours
	}
	for name, steps := range map[string][]step{
		"clocks agree":                        {{"0s", 0}},
		"ours is ahead":                       {{"-90s", -90 * time.Second}},
		"ours is behind":                      {{"90s", 0}},
		"no Date at all":                      {{"", 0}, {"", 0}},
		"no Date, ours is known to be ahead":  {{"-90s", -90 * time.Second}, {"", -90 * time.Second}, {"-5s", -5 * time.Second}, {"", -5 * time.Second}},
		"no Date, ours is known to be behind": {{"90s", 0}, {"", 0}},
		"a Date that is none":                 {{"-90s", -90 * time.Second}, {"yesterday", -90 * time.Second}},
		"a Date of long ago":                  {{"-90s", -90 * time.Second}, {"Thu, 01 Jan 1970 00:00:00 GMT", -90 * time.Second}},
		"a Date far ahead":                    {{"Fri, 31 Dec 9999 23:59:59 GMT", 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, c := newMux(t)
				var header string
				m.instead = func(*http.Request) (*http.Response, error) {
					recorder := httptest.NewRecorder()
					if header != "" {
						recorder.Header().Set("Date", header)
					}
					_, _ = recorder.WriteString(`{"data":{"id":"A1"}}`)
					return recorder.Result(), nil
				}
				for i, s := range steps {
					header = s.date
					if off, err := time.ParseDuration(s.date); err == nil {
						header = time.Now().Add(off).UTC().Format(http.TimeFormat)
					}
					asked := time.Now()
					o, err := c.GetAsset(t.Context(), "A1")
					if err != nil || !o.At.Equal(asked.Add(s.want)) {
						t.Errorf("answer %d with Date %q: %s, %v, want %s", i, header, o.At.Sub(asked), err, s.want)
					}
					time.Sleep(time.Second) // Dates are to the second
				}
			})
		})
	}
}

// TestRetryAfterIsByMuxsClock: a time there is seen from the answer's Date.
func TestRetryAfterIsByMuxsClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ahead, date, want time.Duration }{
		"clocks agree":          {0, 0, 7 * time.Second},
		"ours is a minute late": {time.Minute, 0, 7 * time.Second},
		"ours is ahead":         {-time.Minute, 0, 7 * time.Second},
		"no Date":               {0, -1, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, client := newMux(t)
				first := true
				m.instead = func(*http.Request) (*http.Response, error) {
					recorder := httptest.NewRecorder()
					date := time.Now().Add(c.ahead).UTC()
					if c.date == 0 {
						recorder.Header().Set("Date", date.Format(http.TimeFormat))
					}
					if first {
						first = false
						recorder.Header().Set("Retry-After", date.Add(7*time.Second).Format(http.TimeFormat))
						recorder.WriteHeader(http.StatusTooManyRequests)
						return recorder.Result(), nil
					}
					_, _ = recorder.WriteString(`{"data":{"id":"A1"}}`)
					return recorder.Result(), nil
				}
				begun := time.Now()
				if _, err := client.GetAsset(t.Context(), "A1"); err != nil || time.Since(begun) != c.want {
					t.Errorf("answered after %s, %v, want %s", time.Since(begun), err, c.want)
				}
			})
		})
	}
}
