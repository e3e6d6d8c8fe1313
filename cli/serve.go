package cli

import (
	"context"
	"errors"

	"github.com/playgate/playgate/app"
)

type serveCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file."`
}

// Run serves until SIGTERM or SIGINT.
func (c *serveCommand) Run(p *Process) error {
	signals, stop := app.Signals()
	defer stop()
	log := p.lastWords()
	p.preventCoreDumps()
	gateway, err := app.NewUnlessSignalled(app.Options{Path: c.Config, Environ: p.Environ, Log: log, Process: true, Build: build()}, signals)
	if errors.Is(err, app.ErrStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	return gateway.Run(context.Background(), signals)
}
