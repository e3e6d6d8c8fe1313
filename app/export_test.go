package app

import (
	"net"

	"github.com/prometheus/client_golang/prometheus"
)

// ServeAlso serves another listener, until Stop.
func (a *App) ServeAlso(l net.Listener) error { return a.server.Serve(l, nil) }

// Registry has what /metrics publishes.
func (a *App) Registry() *prometheus.Registry { return a.registry }
