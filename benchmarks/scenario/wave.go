package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// wave lets the tokens of many popular playback IDs roll over in one second, two
// times. Expiries lie on a grid that differs by playback ID, so that this does
// not happen by itself; the IDs are chosen so that it does.
func (b *Bench) wave(ctx context.Context, out *report.Scenario) (err error) {
	ttl := b.config.Size.WaveTTL
	grid := ttl / 4 // contract §4
	r, err := b.start(ctx, out, world.Config{TTL: ttl})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	if err := r.warm(ctx, load.Token, b.config.Size.WaveIDs); err != nil {
		return err
	}
	together, err := r.ledger.RollingTogether(grid)
	if err != nil {
		return err
	}
	out.What = fmt.Sprintf("70 %% of the hit capacity on %d playback IDs whose tokens all roll over in the same second, every %s; ", len(together), grid)
	between := grid / 2 // what is hot is asked for in each half of the time
	list, period := b.renewalsAt(len(together), 0.7*b.hits, between)
	source := load.Choose(load.Replay(list), together)
	hot := load.Hot(source, len(list), often)
	out.What += sayHot(hot, period)
	// Steady: the same playback IDs, between two rollovers.
	if err := untilSecond(ctx, int64(grid.Seconds()), r.ledger.Phase(together[0], grid)); err != nil {
		return err
	}
	// Those that have rolled over since were in nobody's use.
	if err := r.ask(ctx, load.Choose(load.Each(load.Token, 0, len(together), len(b.viewers)), together), len(together)); err != nil {
		return err
	}
	steady, err := r.measure(ctx, "expiry wave, between", load.Config{Source: source, PerSecond: 0.7 * b.hits, Length: between})
	if err != nil {
		return err
	}
	before := steady.Load.Classes[load.All].P99
	earlier, err := r.look(ctx)
	if err != nil {
		return err
	}
	m, err := r.measure(ctx, "expiry wave, two rollovers", load.Config{
		Source: source, PerSecond: 0.7 * b.hits, Length: 2*grid + time.Second, Hot: hot,
	})
	if err != nil {
		return err
	}
	later, err := r.look(ctx)
	if err != nil {
		return err
	}
	out.Checks = append(out.Checks, ratioCheck("expiry wave: p99 / p99 between the waves", m.Load.Classes[load.All].P99, before),
		report.Check{
			Name: "expiry wave: answers for hot keys that waited for a signature", Bound: "0", OK: m.Load.HotMisses == 0,
			Value: fmt.Sprintf("%d; %.0f signatures on the path in all, %.0f ahead; %s", m.Load.HotMisses, m.Server.Signatures, m.Server.Ahead, refreshed(earlier.metrics, later.metrics)),
		})
	return nil
}

// refreshed tells what became of the tokens that were to be signed again.
func refreshed(before, after world.Metrics) string {
	var words []string
	for _, result := range []string{"signed", "present", "late", "evicted", "dropped", "over_budget"} {
		label := `result="` + result + `"`
		if n := after.Sum("playgate_token_cache_refresh_total", label) - before.Sum("playgate_token_cache_refresh_total", label); n > 0 {
			words = append(words, fmt.Sprintf("%s %.0f", result, n))
		}
	}
	return strings.Join(words, ", ")
}

// manyRenewals is how many requests are made up; then they repeat.
const manyRenewals = 200_000

// renewalsOf returns renewals of the given number of playback IDs.
func (b *Bench) renewalsOf(ids int) load.Source {
	return load.Replay(b.sessions(ids).Renewals(manyRenewals))
}

// renewalsAt returns renewals that repeat within a period, so that what they ask
// for is asked for as often in each one, and after how long they do.
func (b *Bench) renewalsAt(ids int, perSecond float64, period time.Duration) ([]load.Request, time.Duration) {
	n := min(manyRenewals, int(perSecond*period.Seconds()))
	return b.sessions(ids).Renewals(n), time.Duration(float64(n) / perSecond * float64(time.Second))
}

// often is what makes a playback ID hot: it is asked for at least so many times
// before the renewals repeat. A share of all playback IDs would not do: of many
// thousands, the middle one is asked for by nobody for seconds, and what nobody
// uses is signed when it is asked for.
const often = 10

func sayHot(hot map[uint32]bool, period time.Duration) string {
	return fmt.Sprintf("hot: the %d that are asked for at least %d times in %s", len(hot), often, period.Round(100*time.Millisecond))
}

// untilSecond waits until the Unix time is at a place of a grid of seconds.
func untilSecond(ctx context.Context, grid, place int64) error {
	now := time.Now()
	ahead := (place - now.Unix()%grid + grid) % grid
	return pause(ctx, time.Unix(now.Unix()+ahead, 0).Add(time.Second).Sub(now))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// ratioCheck compares two latencies in microseconds: one during an event must not
// be more than three times one without.
func ratioCheck(name string, value, base float64) report.Check {
	const bound = 3
	return report.Check{
		Name: name, Value: fmt.Sprintf("%.0f / %.0f µs = %.2f", value, base, value/base), Bound: fmt.Sprintf("≤ %d", bound), OK: value <= bound*base,
	}
}
