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

const nextKey = "NEXTKEY"

// rotation puts a prepared key beside the active one, gives the gateway time to
// sign ahead under it, and activates it, all under load.
func (b *Bench) rotation(ctx context.Context, out *report.Scenario) (err error) {
	ids := b.config.Size.FewIDs
	prepare := 4*time.Second + time.Duration(ids)*time.Second/600
	list, period := b.renewalsAt(ids, 0.7*b.hits, prepare)
	source := load.Replay(list)
	hot := load.Hot(source, len(list), often)
	out.What = fmt.Sprintf("70 %% of the hit capacity on %d playback IDs; a key is prepared for %s, then activated; ", ids, prepare.Round(time.Second)) + sayHot(hot, period)
	r, err := b.start(ctx, out, world.Config{})
	if err != nil {
		return err
	}
	defer r.finish(&err)
	if err := r.warm(ctx, load.Token, ids); err != nil {
		return err
	}
	config := load.Config{Source: source, PerSecond: 0.7 * b.hits, Length: b.config.Size.Window, Hot: hot}
	m, err := r.measure(ctx, "rotation, steady", config)
	if err != nil {
		return err
	}
	steady := m.Load.Classes[load.All].P99
	if r.keys[nextKey], err = r.AddKey(nextKey, world.State{State: "prepared"}); err != nil {
		return err
	}
	config.Length = prepare
	if m, err = r.measure(ctx, "rotation, key prepared", config); err != nil {
		return err
	}
	prepared := m.Load.Classes[load.All].P99
	after, err := r.look(ctx)
	if err != nil {
		return err
	}
	const until = time.Second
	switched := r.later(ctx, until, func() error {
		now := time.Now().Unix()
		return errors.Join(r.SetKeyState(nextKey, world.State{State: "active", ActivatedAt: now}),
			r.SetKeyState(world.FirstKey, world.State{State: "retired", ActivatedAt: now - 60, RetiredAt: now}))
	})
	config.Length = until + 4*time.Second
	m, err = r.measure(ctx, "rotation, key activated", config)
	if err = errors.Join(err, <-switched); err != nil {
		return err
	}
	m.Marks = append(m.Marks, report.Mark{Second: until.Seconds(), What: "state files written; noticed within 2 s"})
	out.Checks = append(out.Checks,
		ratioCheck("rotation: p99 while pre-signing / p99 before", prepared, steady),
		ratioCheck("rotation: p99 around the switch / p99 before", m.Load.Classes[load.All].P99, steady),
		report.Check{
			Name: "rotation: answers for hot keys that waited for a signature", Bound: "0", OK: m.Load.HotMisses == 0,
			Value: fmt.Sprintf("%d; %.0f signatures on the path in all; pre-signed before: %s", m.Load.HotMisses, m.Server.Signatures, presigned(after.metrics)),
		})
	return nil
}

// presigned tells what the gateway says of signing ahead under a prepared key.
func presigned(m world.Metrics) string {
	done := m.Sum("playgate_token_cache_presigned_total", `result="signed"`)
	return fmt.Sprintf("%.0f, still cold: %.0f", done, m.Sum("playgate_token_cache_cold"))
}

// later does something in the middle of a measurement.
func (r *rig) later(ctx context.Context, after time.Duration, do func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		if err := pause(ctx, after); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return done
}
