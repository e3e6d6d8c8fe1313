package scenario

import (
	"context"
	"fmt"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

const (
	herdViewers     = 10_000
	herdPerSecond   = 200_000 // more than anybody answers: they come at once
	herdConnections = 4_000
)

// herd lets ten thousand viewers ask for one playback ID at the same moment, on
// a gateway that has never heard of it; three times, with another ID each. The
// first time it has not heard of the viewers either.
func (b *Bench) herd(ctx context.Context, out *report.Scenario) (err error) {
	viewers := min(herdViewers, len(b.viewers))
	out.What = fmt.Sprintf("%d viewers ask for one playback ID within 50 ms, over %d new connections; empty cache", herdViewers, herdConnections)
	if viewers < herdViewers {
		out.What += fmt.Sprintf("; with the tokens of %d viewers", viewers)
	}
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	for n, name := range []string{"herd, new viewers", "herd, known viewers", "herd, known viewers again"} {
		m, err := r.measure(ctx, name, load.Config{
			Source:    load.Each(load.Token, firstHerd+uint32(n), 1, viewers),
			PerSecond: herdPerSecond, Length: 1 << 40, Requests: herdViewers, Connections: herdConnections, Burst: true,
		})
		if err != nil {
			return err
		}
		out.Checks = append(out.Checks, report.Check{
			Name: name + ": signatures", Value: fmt.Sprintf("%.0f for %d answers", m.Server.Signatures+m.Server.Ahead, m.Load.Answers), Bound: "1",
			OK: m.Server.Signatures+m.Server.Ahead == 1 && m.Load.Answers == herdViewers, Must: true,
		})
	}
	return nil
}
