package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rounds      int
	window      time.Duration
	connections int
	out         string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each pair is measured, in turn")
	flag.DurationVar(&o.window, "window", 3*time.Second, "length of one measurement")
	flag.IntVar(&o.connections, "connections", 32, "connections of the load generator")
	flag.StringVar(&o.out, "out", "", "also write the report and raw results to this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// run measures everything and writes the report.
func run(ctx context.Context, o options, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "playgate-bench-")
	if err != nil {
		return fmt.Errorf("making a work folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	gateway, err := startGateway(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gateway.stop()) }()
	sample, err := gateway.sample(ctx)
	if err != nil {
		return err
	}
	floor, err := startFloor(ctx, sample)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floor.stop()) }()

	report := newReport(o)
	for round := range o.rounds {
		fmt.Fprintf(w, "round %d of %d\n", round+1, o.rounds)
		r, err := measure(ctx, o, dir, gateway, floor)
		if err != nil {
			return err
		}
		report.rounds = append(report.rounds, r)
	}
	if _, err := gateway.sample(ctx); err != nil {
		return fmt.Errorf("after the load: %w", err)
	}
	if err := report.write(w); err != nil {
		return err
	}
	if o.out == "" {
		return nil
	}
	return report.save(filepath.Clean(o.out))
}

// measure runs one round: floor, hits, floor again, openssl, misses, openssl
// again, so that a drift of the machine falls on both sides of each ratio.
func measure(ctx context.Context, o options, dir string, g *gateway, f *floor) (round, error) {
	var r round
	load := wrk{dir: dir, window: o.window, connections: o.connections}
	var errs []error
	keep := func(res result, err error) result {
		errs = append(errs, err)
		return res
	}
	r.FloorBefore = keep(load.run(ctx, f.url, "", ""))
	r.Hit = keep(load.run(ctx, g.tokenURL(), g.viewer, ""))
	r.FloorAfter = keep(load.run(ctx, f.url, "", ""))
	before, err := opensslSpeed(ctx, o.window)
	errs = append(errs, err)
	r.Miss = keep(load.run(ctx, g.url, g.viewer, missScript))
	after, err := opensslSpeed(ctx, o.window)
	errs = append(errs, err)
	r.SignaturesBefore, r.SignaturesAfter = before, after
	return r, errors.Join(errs...)
}
