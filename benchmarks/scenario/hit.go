package scenario

import (
	"context"
	"fmt"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// hit asks for tokens that are all in the cache, as renewals: closed loop for
// the capacity, then open loop at 70 % of it for the latencies.
func (b *Bench) hit(ctx context.Context, out *report.Scenario) (err error) {
	out.What = fmt.Sprintf("%d viewers ask for %d playback IDs whose tokens are all cached; GET …/token", b.config.Size.Viewers, b.config.Size.IDs)
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	if err := r.warm(ctx, load.Token, b.config.Size.IDs); err != nil {
		return err
	}
	source := b.renewalsOf(b.config.Size.IDs)
	m, err := r.measure(ctx, "hit, closed loop", load.Config{Source: source, Length: b.config.Size.Window})
	if err != nil {
		return err
	}
	b.hits = m.Load.Achieved
	_, err = r.measure(ctx, "hit, 70 % of capacity", load.Config{Source: source, PerSecond: 0.7 * b.hits, Length: b.config.Size.Window})
	return err
}
