package cli

import (
	"context"
	"errors"
	"log/slog"

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
	gateway, err := app.NewUnlessSignalled(app.Options{Path: c.Config, Environ: p.Environ, Log: log, Build: build()}, signals)
	if errors.Is(err, app.ErrStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	slog.SetDefault(gateway.Log()) // for libraries that know no other
	return gateway.Run(context.Background(), signals)
}
