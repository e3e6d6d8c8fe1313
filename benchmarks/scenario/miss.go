package scenario

import (
	"context"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// miss asks for another playback ID each time, so that every answer is signed
// for: closed loop for the capacity, then open loop at 70 % of it.
func (b *Bench) miss(ctx context.Context, out *report.Scenario) (err error) {
	out.What = "every request is for a playback ID that nobody asked for before; GET …/token"
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	m, err := r.measure(ctx, "miss, closed loop", load.Config{
		Source: load.Fresh(firstFresh, len(b.viewers)), Length: b.config.Size.Window, Connections: 64,
	})
	if err != nil {
		return err
	}
	b.misses = m.Load.Achieved
	_, err = r.measure(ctx, "miss, 70 % of capacity", load.Config{
		Source: load.Fresh(2*firstFresh, len(b.viewers)), PerSecond: 0.7 * b.misses, Length: b.config.Size.Window,
	})
	return err
}
