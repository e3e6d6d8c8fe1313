package scenario

import (
	"context"
	"fmt"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// mixed lets viewers come, renew and leave, and makes every 20th request one for
// a playback ID that nobody asked for before.
func (b *Bench) mixed(ctx context.Context, out *report.Scenario) (err error) {
	ids := b.config.Size.IDs / 2 // three tokens of each are signed before
	out.What = fmt.Sprintf("95 %% viewer sessions (bundle, redirect, renewals; cached) for %d playback IDs, 5 %% single tokens that have to be signed", ids)
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	if err := r.warm(ctx, load.Bundle, ids); err != nil {
		return err
	}
	_, err = r.measure(ctx, "mixed 95/5, 60 % of capacity", load.Config{
		Source: b.mixture(ids, firstFresh), PerSecond: 0.6 * b.mixedCapacity(), Length: b.config.Size.Window,
	})
	return err
}

// mixture is viewer sessions with every 20th request a miss.
func (b *Bench) mixture(ids int, firstMiss uint32) load.Source {
	return load.Mix(load.Replay(b.sessions(ids).Requests(200_000)), load.Fresh(firstMiss, len(b.viewers)), 20)
}

// mixedCapacity is how many requests fit into the time of 95 % hits and 5 %
// misses at the measured capacities.
func (b *Bench) mixedCapacity() float64 { return 1 / (0.95/b.hits + 0.05/b.misses) }
