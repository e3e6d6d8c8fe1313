package signer_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// metric returns the value of the one metric with the name and labels (pairs
// of name and value); of a histogram, how much was observed.
func metric(t *testing.T, gatherer prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, m := range family.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue series
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("there is no metric %s%v", name, labels)
	return 0
}
