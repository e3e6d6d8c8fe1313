package scenario

import (
	"context"
	"errors"
	"fmt"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// vault takes a real Vault away from a gateway that reads its keys there, for
// the whole of a measurement in which it has to go on signing.
func (b *Bench) vault(ctx context.Context, out *report.Scenario) (err error) {
	out.What = "the mixture of before, keys from a real Vault (refreshed every second), which is killed before the second measurement and stays away"
	v, err := world.StartVault(ctx, b.config.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Kill()) }()
	r, err := b.start(ctx, out, world.Config{Vault: v})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	if err := r.warm(ctx, load.Bundle, b.config.Size.FewIDs); err != nil {
		return err
	}
	config := load.Config{Source: b.mixture(b.config.Size.FewIDs, firstFresh), PerSecond: 0.6 * b.mixedCapacity(), Length: b.config.Size.Window}
	m, err := r.measure(ctx, "Vault there", config)
	if err != nil {
		return err
	}
	steady := m.Load.Classes[load.All].P99
	if err := v.Kill(); err != nil {
		return err
	}
	config.Source = b.mixture(b.config.Size.FewIDs, 2*firstFresh)
	if m, err = r.measure(ctx, "Vault killed", config); err != nil {
		return err
	}
	out.Checks = append(out.Checks,
		report.Check{Name: "Vault killed: errors", Value: fmt.Sprintf("%d of %d answers, %.0f signed", m.Load.Errors, m.Load.Answers, m.Server.Signatures), Bound: "0", OK: m.Load.Errors == 0, Must: true},
		ratioCheck("Vault killed: p99 / p99 with Vault", m.Load.Classes[load.All].P99, steady))
	return nil
}
