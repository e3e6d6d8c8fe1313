package app

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the process's own; every room registers its own beside them.
type metrics struct {
	reloadDone, reloadFailed prometheus.Counter
	reloadGood               prometheus.Gauge
	loadedAt                 prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) *metrics {
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_config_reload_total", Help: "Reloads of the configuration, by result.",
	}, []string{"result"})
	m := &metrics{
		reloadDone:   reloads.WithLabelValues("ok"),
		reloadFailed: reloads.WithLabelValues("error"),
		reloadGood: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "playgate_config_last_reload_successful", Help: "1 if the configuration in force is the newest, 0 if a newer one was refused.",
		}),
		loadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "playgate_config_last_reload_timestamp_seconds", Help: "When the configuration in force was put in force.",
		}),
	}
	registry.MustRegister(reloads, m.reloadGood, m.loadedAt)
	return m
}
