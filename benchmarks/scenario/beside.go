package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// beside measures hits at a fifth of their capacity alone, then while callers of
// misses keep all signers busy, then alone again.
func (b *Bench) beside(ctx context.Context, out *report.Scenario) (err error) {
	out.What = fmt.Sprintf("hits at 20 %% of their capacity, alone and while %d callers, each asking again at once, keep the signers busy", saturating())
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	if err := r.warm(ctx, load.Token, b.config.Size.FewIDs); err != nil {
		return err
	}
	config := load.Config{Source: b.renewalsOf(b.config.Size.FewIDs), PerSecond: 0.2 * b.hits, Length: b.config.Size.Window}
	if _, err := r.measure(ctx, "hits alone", config); err != nil {
		return err
	}
	flood := r.flood(ctx, b.config.Size.Window+2*time.Second)
	if err := pause(ctx, time.Second); err != nil {
		return errors.Join(err, (<-flood).err)
	}
	_, err = r.measure(ctx, "hits beside misses", config)
	misses := <-flood
	if err = errors.Join(err, misses.err); err != nil {
		return err
	}
	if _, err := r.measure(ctx, "hits alone again", config); err != nil {
		return err
	}
	p99 := func(n int) float64 { return out.Measurements[n].Load.Classes[load.All].P99 }
	alone, together := (p99(0)+p99(2))/2, p99(1)
	bound := max(5*alone, alone+2000)
	out.Checks = append(out.Checks, report.Check{
		Name:  "hit p99 beside saturated signers",
		Value: fmt.Sprintf("%.0f µs, alone %.0f µs, difference %.0f µs; %.0f misses/s beside", together, alone, together-alone, misses.Achieved),
		Bound: fmt.Sprintf("≤ %.0f µs", bound), OK: together <= bound,
	})
	return nil
}

type flooded struct {
	*load.Result
	err error
}

// saturating returns how many callers keep all signers busy: two batches of eight
// for each core (signer.callers). More would wait in the line, and in the generator.
func saturating() int { return 2 * 8 * runtime.NumCPU() }

// flood asks for misses in a closed loop, in the background.
func (r *rig) flood(ctx context.Context, length time.Duration) <-chan flooded {
	done := make(chan flooded, 1)
	go func() {
		res, err := load.Run(ctx, r.load(load.Config{Source: load.Fresh(firstFresh, len(r.bench.viewers)), Length: length, Connections: saturating()}))
		done <- flooded{res, err}
	}()
	return done
}
