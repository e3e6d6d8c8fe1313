package app

import "net"

// ServeAlso serves another listener, until Stop.
func (a *App) ServeAlso(l net.Listener) error { return a.server.Serve(l, nil) }
