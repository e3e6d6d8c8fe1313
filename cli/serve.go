package cli

import (
	"context"
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
	gateway, err := app.New(app.Options{Path: c.Config, Environ: p.Environ, Log: log, Build: build()})
	if err != nil {
		return err
	}
	slog.SetDefault(gateway.Log()) // for libraries that know no other
	return gateway.Run(context.Background(), signals)
}
