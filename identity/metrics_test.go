package identity_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/identity"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		p := provider(t, nil)
		server := new(replaceable)
		server.set(p)
		v := start(t, identity.Config{Registerer: registry, InsecureTransport: network{host: server}}, trust(prod), other())
		raw := sign(t, p, nil)
		v.Remembered(raw, "", time.Time{})
		wantCode(t, v, raw, "")
		v.Remembered(raw, "", time.Time{})
		v.Remembered(raw, prod, time.Time{})
		v.Remembered(raw, staging, time.Time{})
		wantCode(t, v, "x", invalid)
		wantCode(t, v, sign(t, p, map[string]any{"exp": time.Now().Unix() - 60}), expired)
		if _, err := verify(v, sign(t, otherProvider(t, nil), nil), staging); codeOf(t, err) != unavailable {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
		v.Stop()
		time.Sleep(90 * time.Second)
		for name, want := range map[string]map[string]float64{
			"playgate_identity_remembered_total": {"hit": 2, "miss": 2},
			"playgate_identity_verifications_total": {
				"ok": 1, "invalid_credentials": 1, "expired_credentials": 1, "issuer_unavailable": 1,
			},
			"playgate_identity_remembered_entries": {"": 1},
		} {
			if diff := cmp.Diff(want, gather(t, registry, name, "result")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		ages := gather(t, registry, "playgate_jwks_age_seconds", "environment")
		if age := ages[string(prod)]; age < 90 || age > 91 {
			t.Errorf("age of %s = %v, want 90 s", prod, age)
		}
		if !math.IsInf(ages[string(staging)], 1) {
			t.Errorf("age of %s = %v, want +Inf", staging, ages[string(staging)])
		}
		refreshes := gather(t, registry, "playgate_jwks_refresh_total", "result")
		if refreshes["changed"] != 1 || refreshes["unchanged"] != 0 || refreshes["error"] < 1 {
			t.Errorf("refreshes = %v", refreshes)
		}
	})
}

// gather returns a metric's values by the value of its one label.
func gather(t *testing.T, registry *prometheus.Registry, name, label string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			if len(metric.GetLabel()) == 0 {
				values[""] = metric.GetGauge().GetValue()
				continue
			}
			if len(metric.GetLabel()) != 1 || metric.GetLabel()[0].GetName() != label {
				t.Fatalf("%s has labels %v, want %s alone", name, metric.GetLabel(), label)
			}
			values[metric.GetLabel()[0].GetValue()] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return values
}
