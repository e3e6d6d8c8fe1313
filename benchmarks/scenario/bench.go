package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/playgate/playgate/benchmarks/load"
	"github.com/playgate/playgate/benchmarks/report"
	"github.com/playgate/playgate/benchmarks/world"
)

// Config says how much is done.
type Config struct {
	Dir    string    // required: an empty folder for the gateways' files
	Binary string    // required: what world.Build returned
	Log    io.Writer // required: progress
	Size   Size      // required
	Seed   uint64
}

// Size is the amount of load.
type Size struct {
	Viewers int           // who come, each with a viewer token
	IDs     int           // playback IDs that they ask for, in hit, mixed and cold
	FewIDs  int           // the same in the other scenarios
	Window  time.Duration // of one measurement
	WaveIDs int           // playback IDs that those which roll over together are chosen from
	WaveTTL time.Duration // of their tokens; they roll over every quarter of it
	Cached  int           // tokens of the million
	OverTCP bool          // whether these are asked for, instead of put into a cache of another process; once then, not each round
}

// Short is for `make bench`: some 100 s on two cores.
func Short() Size {
	return Size{
		Viewers: 10_000, IDs: 4_000, FewIDs: 2_000, Window: 3 * time.Second, WaveIDs: 5_000, WaveTTL: 40 * time.Second, Cached: 1_000_000,
	}
}

// Full is for `make bench-full`: the sizes of the documentation; some
// six minutes a round.
func Full() Size {
	return Size{
		Viewers: 50_000, IDs: 100_000, FewIDs: 10_000, Window: 5 * time.Second, WaveIDs: 60_000, WaveTTL: 100 * time.Second, Cached: 1_000_000, OverTCP: true,
	}
}

// Bench is what the scenarios share: the viewers, and the capacity for hits.
type Bench struct {
	config  Config
	issuer  *world.Issuer
	viewers []string // Authorization headers
	started int      // gateways so far
	// hits and misses are the gateway's capacity in requests per second, closed
	// loop, measured with the generator that everything else uses.
	hits, misses float64
}

// New makes the viewers, which takes some seconds.
func New(c Config) (*Bench, error) {
	issuer, err := world.NewIssuer()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	viewers, err := issuer.Viewers(c.Size.Viewers)
	if err != nil {
		return nil, err
	}
	for i := range viewers {
		viewers[i] = "Bearer " + viewers[i]
	}
	fmt.Fprintf(c.Log, "%d viewer tokens made in %s\n", len(viewers), time.Since(began).Round(100*time.Millisecond))
	return &Bench{config: c, issuer: issuer, viewers: viewers}, nil
}

// Scenario is one of All.
type Scenario struct {
	Name string
	run  func(*Bench, context.Context, *report.Scenario) error
}

// All returns the scenarios in the order in which they run. The first two
// measure the capacity that the others are given a share of.
func All() []Scenario {
	return []Scenario{
		{"hit", (*Bench).hit},
		{"miss", (*Bench).miss},
		{"mixed", (*Bench).mixed},
		{"cold", (*Bench).cold},
		{"herd", (*Bench).herd},
		{"beside", (*Bench).beside},
		{"wave", (*Bench).wave},
		{"rotation", (*Bench).rotation},
		{"policy", (*Bench).policy},
		{"vault", (*Bench).vault},
		{"million", (*Bench).million},
	}
}

// Once reports whether a second round of the scenario would take too long.
func (s Scenario) Once(size Size) bool { return s.Name == "million" && size.OverTCP }

// attempts is how often a scenario is tried when windows have to be discarded.
const attempts = 4

// Run runs a scenario until it has figures, at most attempts times.
func (b *Bench) Run(ctx context.Context, s Scenario) (report.Scenario, error) {
	if err := b.needCapacity(ctx, s); err != nil {
		return report.Scenario{}, err
	}
	out := report.Scenario{Name: s.Name}
	for {
		out.Measurements, out.Checks = nil, nil
		err := s.run(b, ctx, &out)
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, load.ErrBehind) && !errors.Is(err, errStolen) || len(out.Discarded)+1 == attempts {
			return out, fmt.Errorf("scenario %s: %w", s.Name, err)
		}
		fmt.Fprintf(b.config.Log, "discarded: %v\n", err)
		out.Discarded = append(out.Discarded, err.Error())
	}
}

// needCapacity measures the capacity first when only later scenarios are asked for.
func (b *Bench) needCapacity(ctx context.Context, s Scenario) error {
	first := All()[:2]
	for n, capacity := range []float64{b.hits, b.misses} {
		if s.Name == first[0].Name || s.Name == first[1].Name || s.Name == "million" || capacity > 0 {
			continue
		}
		if _, err := b.Run(ctx, first[n]); err != nil {
			return err
		}
	}
	return nil
}

// rig is a gateway with what was received from it.
type rig struct {
	*world.Gateway
	bench  *Bench
	ledger *load.Ledger
	keys   load.Keys
	out    *report.Scenario
}

// start starts a gateway for a scenario; its finish must be called.
func (b *Bench) start(ctx context.Context, out *report.Scenario, c world.Config) (*rig, error) {
	b.started++
	c.Dir = filepath.Join(b.config.Dir, "gateway-"+strconv.Itoa(b.started))
	if err := os.Mkdir(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	c.Binary, c.Issuer = b.config.Binary, b.issuer
	g, err := world.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	return &rig{g, b, load.NewLedger(), load.Keys{world.FirstKey: g.Key}, out}, nil
}

// finish stops the gateway and, if nothing else was wrong, has all its tokens
// judged.
func (r *rig) finish(err *error) {
	*err = errors.Join(*err, r.Stop())
	if *err != nil {
		return
	}
	began := time.Now()
	r.out.Verified, *err = r.ledger.Verify(r.keys)
	fmt.Fprintf(r.bench.config.Log, "  %d distinct tokens verified in %s\n", r.out.Verified.Tokens, time.Since(began).Round(100*time.Millisecond))
}

// sessions describes the viewers of the run, asking for so many playback IDs.
func (b *Bench) sessions(ids int) load.Sessions {
	return load.Sessions{Seed: b.config.Seed, Viewers: b.config.Size.Viewers, IDs: ids, Active: b.config.Size.Viewers / 5}
}

// Index ranges of playback IDs: the popular ones begin at 0.
const (
	firstFresh = 100_000_000
	firstHerd  = 1_000_000_000
)
