package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/clock/clocktest"
)

const year = 365 * 24 * time.Hour

// clocked is a gateway whose machine's clocks the test sets.
type clocked struct {
	*clocktest.Source

	log   gatewayLog
	url   string
	admin string
}

func startClocked(t *testing.T, configuration string, wall time.Time) *clocked {
	t.Helper()
	c := &clocked{Source: clocktest.New(wall)}
	a, err := app.New(app.Options{Path: write(t, configuration), Log: &c.log, Clock: c.Source})
	if err != nil {
		t.Fatal(err)
	}
	c.log.gateway = a
	t.Cleanup(func() { _ = a.Stop() })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.url, c.admin = "http://"+a.Addr().String(), "http://"+a.AdminAddr().String()
	return c
}

// mint asks for a token and returns its status and expires_at.
func (c *clocked) mint(t *testing.T) (status int, expires time.Time) {
	t.Helper()
	status, body := get(t, c.url+"/v1/playback-ids/P1/token")
	var answer struct {
		Data struct {
			ExpiresAt int64 `json:"expires_at"`
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return status, time.Unix(answer.Data.ExpiresAt, 0)
}

// wait polls /readyz until it says a text, or says it no more; it stays ready.
func (c *clocked) wait(t *testing.T, text string, says bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; {
		code, body := get(t, c.admin+"/readyz")
		if code != http.StatusOK {
			t.Fatalf("readyz: %d %s", code, body)
		}
		if strings.Contains(body, text) == says {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("readyz says %s", body)
		}
	}
}

// TestATokenNeverOutlivesTheTimeThatHasPassed: a jump ahead is an alarm, and
// tokens are signed as if nothing had been.
func TestATokenNeverOutlivesTheTimeThatHasPassed(t *testing.T) {
	t.Parallel()
	c := startClocked(t, configuration, time.Now())
	const maxTTL = 24 * time.Hour
	check := func(when string) {
		t.Helper()
		status, expires := c.mint(t)
		if left := time.Until(expires); status != http.StatusOK || left <= 0 || left > maxTTL {
			t.Errorf("%s: %d, a token that lives %s", when, status, left)
		}
	}
	check("before")
	for i, by := range []time.Duration{time.Hour, 10 * year} {
		c.Set(by)
		check("at once")
		c.wait(t, "ahead of the time that has passed", true)
		check("when it is known")
		if errors := c.log.count(t, `"level":"ERROR","msg":"the system's clock jumped`); errors != i+1 {
			t.Errorf("%d ERROR lines after %d jumps", errors, i+1)
		}
		c.Set(-by)
		c.wait(t, "ahead of the time that has passed", false)
		check("when it is over")
	}
	if _, metrics := get(t, c.admin+"/metrics"); !strings.Contains(metrics, `playgate_clock_jumps_total{direction="ahead"} 2`) {
		t.Error("the metric does not count two jumps")
	}
	c.Suspend(3*time.Hour, true)
	for deadline := time.Now().Add(60 * time.Second); c.log.count(t, "the machine was suspended") == 0; {
		if time.Now().After(deadline) {
			t.Fatal("a suspension is not noticed")
		}
	}
	if status, expires := c.mint(t); status != http.StatusOK || time.Until(expires) <= 3*time.Hour {
		t.Errorf("after 3h asleep: %d, a token that ends at %s", status, expires)
	}
}

// TestAClockThatIsSetBackNeedsNoRestart: the machine came up with a clock that
// was ahead, and limits, tokens and keys are from then.
func TestAClockThatIsSetBackNeedsNoRestart(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{time.Hour, 10 * year} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			c := startClocked(t, strings.Replace(configuration, "anonymous: true", "anonymous: true\n        rate_limits: {ip: 20-H}", 1), time.Now().Add(by))
			for status := http.StatusOK; status != http.StatusTooManyRequests; status, _ = c.mint(t) {
				if status != http.StatusOK {
					t.Fatalf("with a clock that is ahead: %d", status)
				}
			}
			c.Set(-by)
			c.wait(t, "behind the time that has passed", true)
			c.Pass(15 * time.Second)
			c.wait(t, "behind the time that has passed", false)
			status, expires := c.mint(t)
			if left := time.Until(expires); status != http.StatusOK || left <= 0 || left > 24*time.Hour {
				t.Errorf("after it was set back by %s: %d, a token that lives %s", by, status, left)
			}
			if warnings := c.log.count(t, "the system's clock is believed"); warnings != 1 {
				t.Errorf("%d lines say that the clock is believed", warnings)
			}
		})
	}
}
