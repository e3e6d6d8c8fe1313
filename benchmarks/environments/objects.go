package environments

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/playgate/playgate/benchmarks/world"
)

// RunObjects measures one environment with many playback IDs.
func RunObjects(ctx context.Context, c Config) (figures Figures, err error) {
	f := &fixture{dir: filepath.Join(c.Dir, "objects"), count: 1}
	if f.listen, f.admin, err = world.FreeAddresses(ctx); err != nil {
		return figures, err
	}
	if err := f.write(); err != nil {
		return figures, err
	}
	if err := f.configureObjects(c.Objects); err != nil {
		return figures, err
	}
	figures = Figures{Environments: 1, Load: loadAverage()}
	p, err := start(f, c.Binary)
	if err != nil {
		return figures, err
	}
	defer p.kill()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.measureStart(ctx, &figures); err != nil {
		return figures, err
	}
	if err := p.measureIdle(ctx, &figures); err != nil {
		return figures, err
	}
	figures.Stop, err = p.stop()
	fmt.Fprintf(c.Progress, "%d playback IDs: %+v\n", c.Objects, figures)
	return figures, err
}
