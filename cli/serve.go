package cli

import (
	"context"

	"github.com/playgate/playgate/app"
)

type serveCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file."`
}

// Run serves until SIGTERM or SIGINT.
func (c *serveCommand) Run(p *Process) error {
	signals, stop := app.Signals()
	defer stop()
	gateway, err := app.New(app.Options{Path: c.Config, Environ: p.Environ, Log: p.Stderr, Build: build()})
	if err != nil {
		return err
	}
	return gateway.Run(context.Background(), signals)
}
