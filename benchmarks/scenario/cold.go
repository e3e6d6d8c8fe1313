package scenario

import (
	"context"
	"fmt"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// cold lets all viewers of a warm gateway meet one with an empty cache, which
// also has to verify each viewer's token for the first time.
func (b *Bench) cold(ctx context.Context, out *report.Scenario) (err error) {
	out.What = "viewer sessions on a gateway that has just started; requests at half the capacity for misses, since the first ones all are"
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	m, err := r.measure(ctx, "cold start", load.Config{
		Source: load.Replay(b.sessions(b.config.Size.IDs).Requests(200_000)), PerSecond: 0.5 * b.misses, Length: b.config.Size.Window,
	})
	if err != nil {
		return err
	}
	first, last := m.Load.Timeline[0], m.Load.Timeline[len(m.Load.Timeline)-1]
	share := func(s load.Slot) float64 { return 100 * float64(s.Misses) / float64(max(1, s.Count)) }
	out.Checks = append(out.Checks, report.Check{
		Name: "cold start: answers that had to be signed for, first and last second", OK: true, Bound: "falls",
		Value: fmt.Sprintf("%.0f %% and %.0f %%", share(first), share(last)),
	})
	return nil
}
