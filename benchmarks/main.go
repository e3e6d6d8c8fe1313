package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/playgate/playgate/benchmarks/environments"
	"github.com/playgate/playgate/benchmarks/ratio"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/scenario"
	"github.com/playgate/playgate/benchmarks/world"
)

// options are the flags.
type options struct {
	full        bool
	only        string
	rounds      int // of the scenarios
	ratioRounds int
	out         string
	gateway     string
	seed        uint64
	counts      string // of environments
	own         bool
	objects     int
}

// scenarios returns the scenarios that were asked for.
func (o *options) scenarios() ([]scenario.Scenario, error) {
	all := scenario.All()
	if o.only == "" {
		return all, nil
	}
	var chosen []scenario.Scenario
	for name := range strings.SplitSeq(o.only, ",") {
		n := slices.IndexFunc(all, func(s scenario.Scenario) bool { return s.Name == name })
		if n < 0 {
			return nil, fmt.Errorf("no such scenario: %q", name)
		}
		chosen = append(chosen, all[n])
	}
	return chosen, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// command runs what the arguments say.
func command(ctx context.Context, args []string, w io.Writer) error {
	var o options
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.BoolVar(&o.full, "full", false, "the sizes of the documentation: 50,000 viewers, 100,000 playback IDs, 5 s windows (less than 20 minutes)")
	flags.StringVar(&o.only, "only", "", "only these scenarios, with commas; no ratios")
	flags.IntVar(&o.rounds, "rounds", 0, "how often each scenario and ratio is measured; the tables hold medians (0: scenarios once, ratios 3 times; peers 5)")
	flags.StringVar(&o.out, "out", "", "keep the results in a new folder of this folder")
	flags.StringVar(&o.gateway, "gateway", "", "measure this binary of the gateway; else it is built from the checkout")
	flags.Uint64Var(&o.seed, "seed", 1, "of the viewers' sessions")
	flags.StringVar(&o.counts, "counts", "500,1000,2000,10000", "environments: how many of them, with commas")
	flags.BoolVar(&o.own, "own", false, "environments: rules and key sets of each environment's own, not shared")
	flags.IntVar(&o.objects, "objects", 0, "environments: measure one environment with this many playback IDs, too")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	o.settleRounds(flags.Arg(0) == "peers")
	switch flags.Arg(0) {
	case "":
		return o.run(ctx, w, false)
	case "peers":
		return o.run(ctx, w, true)
	case "environments":
		return o.environments(ctx, w)
	case "fill": // the suite starts itself with this
		return fill(ctx, flags.Arg(1), w)
	}
	return fmt.Errorf("no such command: %q", flags.Arg(0))
}

// settleRounds fills in what the flag leaves open. Ratios take more rounds than
// scenarios, which are longer.
func (o *options) settleRounds(peers bool) {
	o.ratioRounds = o.rounds
	if o.rounds > 0 {
		return
	}
	o.rounds, o.ratioRounds = 1, 3
	if peers {
		o.ratioRounds = 5
	}
}

func fill(ctx context.Context, tokens string, w io.Writer) error {
	n, err := strconv.Atoi(tokens)
	if err != nil {
		return fmt.Errorf("reading the number of tokens: %w", err)
	}
	filled, err := scenario.Fill(ctx, n)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(filled)
}

// environments measures what many environments cost.
func (o *options) environments(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "playgate-bench-")
	if err != nil {
		return fmt.Errorf("making a work folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.gateway == "" {
		if o.gateway, err = world.Build(ctx, dir); err != nil {
			return err
		}
	}
	c := environments.Config{Dir: dir, Binary: o.gateway, Own: o.own, Objects: o.objects, Progress: w}
	for text := range strings.SplitSeq(o.counts, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-counts %q: want numbers of environments, with commas", o.counts)
		}
		c.Counts = append(c.Counts, n)
	}
	all, err := environments.Run(ctx, c)
	fmt.Fprintf(w, "\n%s\n", environments.Markdown(all))
	if err != nil || o.objects == 0 {
		return err
	}
	_, err = environments.RunObjects(ctx, c)
	return err
}

// run measures and reports. peers: the ratios, to all peers, and no scenario.
func (o *options) run(ctx context.Context, w io.Writer, peers bool) (err error) {
	// The generator shares the cores with what it measures, and a collection takes
	// milliseconds of them: none below two gigabytes.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(2 << 30)
	dir, err := os.MkdirTemp("", "playgate-bench-")
	if err != nil {
		return fmt.Errorf("making a work folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.gateway == "" {
		if o.gateway, err = world.Build(ctx, dir); err != nil {
			return err
		}
	}
	result := &report.Run{
		Date: time.Now(), Command: strings.Join(append([]string{"go run ."}, os.Args[1:]...), " "), Commit: report.Commit(ctx), Machine: report.ThisMachine(),
		Short: !o.full, EverythingOn: world.EverythingOn, Rounds: o.rounds,
	}
	var judged error
	if !peers {
		if err := o.runScenarios(ctx, dir, w, result); err != nil {
			return err
		}
		fmt.Fprintf(w, "\n%s\n", result.Markdown())
		for _, c := range result.Failed() {
			judged = errors.Join(judged, fmt.Errorf("%s: %s, must be %s", c.Name, c.Value, c.Bound))
		}
	}
	if o.only == "" {
		if err := o.runRatios(ctx, dir, w, result, peers); err != nil {
			return err
		}
	}
	if o.out != "" {
		folder, err := result.Save(o.out)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "kept in %s\n", folder)
	}
	return judged
}

func (o *options) runScenarios(ctx context.Context, dir string, w io.Writer, result *report.Run) error {
	chosen, err := o.scenarios()
	if err != nil {
		return err
	}
	size := scenario.Short()
	if o.full {
		size = scenario.Full()
	}
	bench, err := scenario.New(scenario.Config{Dir: dir, Binary: o.gateway, Log: w, Size: size, Seed: o.seed})
	if err != nil {
		return err
	}
	for round := range o.rounds {
		for _, s := range chosen {
			if round > 0 && s.Once(size) {
				continue
			}
			fmt.Fprintf(w, "%s, round %d of %d\n", s.Name, round+1, o.rounds)
			began := time.Now()
			done, err := bench.Run(ctx, s)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "  took %s\n", time.Since(began).Round(100*time.Millisecond))
			done.Round = round + 1
			result.Scenarios = append(result.Scenarios, done)
		}
	}
	return nil
}

// runRatios measures beside the floors, or beside all peers.
func (o *options) runRatios(ctx context.Context, dir string, w io.Writer, result *report.Run, peers bool) error {
	c := ratio.Config{Dir: dir, Binary: o.gateway, Peers: peers, Progress: w, Rounds: o.ratioRounds}
	ratios, err := ratio.Run(ctx, c)
	if err != nil {
		return err
	}
	result.Ratios = &report.Ratios{Raw: ratios, Text: ratios.Markdown()}
	fmt.Fprintf(w, "\n%s\n", result.Ratios.Text)
	return nil
}
