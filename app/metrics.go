package app

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

//go:generate go test . -run ^TestTheMetricReferenceIsCurrent$ -update

// metrics are the process's own; every room registers its own beside them.
type metrics struct {
	reloadDone, reloadFailed prometheus.Counter
	reloadGood               prometheus.Gauge
	loadedAt                 prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) *metrics {
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_config_reload_total", Help: "Reloads of the configuration, by result: ok or error.",
	}, []string{"result"})
	m := &metrics{
		reloadDone:   reloads.WithLabelValues("ok"),
		reloadFailed: reloads.WithLabelValues("error"),
		reloadGood: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "playgate_config_last_reload_successful", Help: "1 if the newest configuration is in force, 0 if it was refused and an older one still is.",
		}),
		loadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "playgate_config_last_reload_timestamp_seconds", Help: "Unix time at which the configuration in force was put in force.",
		}),
	}
	registry.MustRegister(reloads, m.reloadGood, m.loadedAt)
	return m
}

// publishBuild says what is running, as a metric that others can be joined with.
func publishBuild(registry prometheus.Registerer, build Build, signer string) {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "playgate_build_info",
		Help: "Always 1. The labels say what is running: the version, the commit, the version of Go and the signer's backend.",
	}, []string{"version", "commit", "go_version", "signer"})
	info.WithLabelValues(build.Version, build.Commit, runtime.Version(), signer).Set(1)
	registry.MustRegister(info)
}
