package app

import (
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
)

// ServeAlso serves another listener, until Stop.
func (a *App) ServeAlso(l net.Listener) error { return a.server.Serve(l, nil) }

// Registry has what /metrics publishes.
func (a *App) Registry() *prometheus.Registry { return a.registry }

// Logger logs where the gateway does.
func (a *App) Logger() *slog.Logger { return a.log }
