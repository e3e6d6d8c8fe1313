package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// errStolen says that the hypervisor took time away during a window.
var errStolen = errors.New("time was stolen during the measurement")

// maxSteal is the share of the machine's time that may be stolen in a window.
const maxSteal = 0.02

// snapshot is the state of gateway and machine at one moment.
type snapshot struct {
	metrics world.Metrics
	usage   world.Usage
	machine world.MachineTime
}

func (r *rig) look(ctx context.Context) (snapshot, error) {
	metrics, err := r.Metrics(ctx)
	if err != nil {
		return snapshot{}, err
	}
	usage, err := r.Usage()
	if err != nil {
		return snapshot{}, err
	}
	machine, err := world.Machine()
	return snapshot{metrics, usage, machine}, err
}

// load completes a load's description with what is the same for all.
func (r *rig) load(c load.Config) load.Config {
	c.Address, c.Viewers, c.Ledger = strings.TrimPrefix(r.URL, "http://"), r.bench.viewers, r.ledger
	return c
}

// measure puts load on and adds a measurement to the scenario.
func (r *rig) measure(ctx context.Context, name string, c load.Config) (*report.Measurement, error) {
	before, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	res, err := load.Run(ctx, r.load(c))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	after, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	m := report.Measurement{Name: name, Load: res, Server: serverOf(before, after, res)}
	if m.Server.Steal > maxSteal {
		return nil, fmt.Errorf("%s: %w: %.1f %%", name, errStolen, 100*m.Server.Steal)
	}
	r.out.Measurements = append(r.out.Measurements, m)
	all := res.Classes[load.All]
	fmt.Fprintf(r.bench.config.Log, "  %-28s %7.0f/s of %7.0f  p50 %6.0f  p99 %7.0f  max %7.0f µs  lag p99 %5.0f  cpu %5.1f µs  %4.1f allocs  %5.0f sig  %5.0f ahead\n",
		name, res.Achieved, res.Offered, all.P50, all.P99, all.Max, res.Lag.P99, m.Server.CPUPerRequest, m.Server.AllocsPerRequest, m.Server.Signatures, m.Server.Ahead)
	return &r.out.Measurements[len(r.out.Measurements)-1], nil
}

// warm fills the cache: each of the first playback IDs is asked for once, so that
// none counts as in use yet; and every viewer asks for one, to be known.
func (r *rig) warm(ctx context.Context, kind load.Kind, ids int) error {
	if err := r.ask(ctx, load.Each(kind, 0, ids, len(r.bench.viewers)), ids); err != nil {
		return err
	}
	return r.ask(ctx, load.Each(load.Token, 0, 1, len(r.bench.viewers)), len(r.bench.viewers))
}

// ask makes so many requests, as fast as they are answered, and measures nothing.
func (r *rig) ask(ctx context.Context, source load.Source, requests int) error {
	if _, err := load.Run(ctx, r.load(load.Config{Source: source, Requests: uint64(requests), Length: time.Hour})); err != nil { //nolint:gosec // positive
		return fmt.Errorf("filling the cache: %w", err)
	}
	return nil
}

func serverOf(before, after snapshot, res *load.Result) report.Server {
	n := float64(max(1, res.Answers))
	delta := func(name string, labels ...string) float64 {
		return after.metrics.Sum(name, labels...) - before.metrics.Sum(name, labels...)
	}
	cpu := after.usage.CPU - before.usage.CPU
	return report.Server{
		CPUPerRequest:    float64(cpu.Microseconds()) / n,
		Cores:            cpu.Seconds() / res.Elapsed().Seconds(),
		AllocsPerRequest: delta("go_memstats_mallocs_total") / n,
		RSS:              after.usage.RSS,
		Collections:      delta("go_gc_duration_seconds_count"),
		Signatures:       delta("playgate_signatures_total", `result="signed"`, `ahead="false"`),
		Ahead:            delta("playgate_signatures_total", `result="signed"`, `ahead="true"`),
		Hits:             delta("playgate_token_cache_total", `result="hit"`),
		Coalesced:        delta("playgate_token_cache_total", `result="coalesced"`),
		Misses:           delta("playgate_token_cache_total", `result="miss"`),
		Steal:            after.machine.StealSince(before.machine),
		Reloads:          delta("playgate_config_reload_total", `result="ok"`),
	}
}
