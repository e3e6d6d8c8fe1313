package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// policy changes the rule document and asks for a reload twice a second.
func (b *Bench) policy(ctx context.Context, out *report.Scenario) (err error) {
	const every = 500 * time.Millisecond
	out.What = fmt.Sprintf("70 %% of the hit capacity; the rules are written anew and reloaded (SIGHUP) every %s", every)
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	if err := r.warm(ctx, load.Token, b.config.Size.FewIDs); err != nil {
		return err
	}
	config := load.Config{Source: b.renewalsOf(b.config.Size.FewIDs), PerSecond: 0.7 * b.hits, Length: b.config.Size.Window}
	m, err := r.measure(ctx, "policy, steady", config)
	if err != nil {
		return err
	}
	steady := m.Load.Classes[load.All].P99
	ctxLoad, stop := context.WithCancel(ctx)
	defer stop()
	edits := make(chan error, 1)
	go func() {
		for n := 1; ; n++ {
			if pause(ctxLoad, every) != nil {
				edits <- nil
				return
			}
			if err := errors.Join(r.SetRules(time.Hour, n), r.Reload()); err != nil {
				edits <- err
				return
			}
		}
	}()
	m, err = r.measure(ctx, "policy, reloading", config)
	stop()
	if err = errors.Join(err, <-edits); err != nil {
		return err
	}
	out.Checks = append(out.Checks,
		report.Check{Name: "policy: reloads under load", Value: fmt.Sprintf("%.0f", m.Server.Reloads), Bound: "≥ 2", OK: m.Server.Reloads >= 2, Must: true},
		ratioCheck("policy: p99 while reloading / p99 before", m.Load.Classes[load.All].P99, steady))
	return nil
}
