package app_test

import (
	"strings"
	"testing"
)

// TestConnectionsOfBothListenersAreMeasured: the scrape itself is one of the admin
// listener's.
func TestConnectionsOfBothListenersAreMeasured(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	t.Cleanup(func() { _ = a.Stop() })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, metrics := get(t, "http://"+a.AdminAddr().String()+"/metrics")
	for _, series := range []string{
		`playgate_connections_busy{listener="admin"} 1`, `playgate_connections_busy{listener="public"} 0`,
		`playgate_connections_idle{listener="admin"} `, `playgate_connections_idle{listener="public"} 0`,
		`playgate_connections_evicted_total{listener="admin"} 0`, `playgate_connections_evicted_total{listener="public"} 0`,
	} {
		if !strings.Contains(metrics, "\n"+series) {
			t.Errorf("%s is missing", series)
		}
	}
}
