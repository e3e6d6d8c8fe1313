package ratio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/playgate/playgate/benchmarks/world"
)

// Config says what is measured, and how long.
type Config struct {
	Dir      string        // an existing folder; what is written goes into a new one inside it
	Binary   string        // the gateway, as world.Build returned it
	Peers    bool          // measure all peers too; else the floors alone: less than a minute
	Rounds   int           // 0: 5
	Window   time.Duration // of one measurement, whole seconds; 0: 2 s
	Progress io.Writer     // a line per round; nil: none
}

// Connections of the load: misses wait longer, so it takes more of them to keep
// the cores busy.
const (
	hitConnections  = 32
	missConnections = 64
)

// Run starts a gateway with everything on, and its peers, measures them in turn
// and stops them. It returns no result when any answer was wrong.
func Run(ctx context.Context, c Config) (result *Result, err error) {
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	if c.Window == 0 {
		c.Window = 2 * time.Second
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	if c.Dir, err = os.MkdirTemp(c.Dir, "ratio-"); err != nil {
		return nil, fmt.Errorf("making a work folder: %w", err)
	}
	b := &bench{Config: c}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	groups := b.groups()
	if err := b.warm(ctx, groups); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	for round := range c.Rounds {
		fmt.Fprintf(c.Progress, "ratios: round %d of %d\n", round+1, c.Rounds)
		for _, g := range groups {
			if err := b.round(ctx, g); err != nil {
				return nil, err
			}
		}
	}
	for _, g := range groups { // the floor once more: each round lies between two
		if err := b.measure(ctx, g[0]); err != nil {
			return nil, err
		}
	}
	if err := b.checkAll(ctx); err != nil {
		return nil, fmt.Errorf("after the load: %w", err)
	}
	return b.result(groups), nil
}

// start makes the world: the gateway, a sample of its answers, the viewers, and
// the peers.
func (b *bench) start(ctx context.Context) error {
	dir := filepath.Join(b.Dir, "gateway")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making the gateway's folder: %w", err)
	}
	var err error
	if b.backend, err = signsWith(ctx, b.Binary); err != nil {
		return err
	}
	// The cache's defaults, so that a long run of misses pays for eviction too.
	if b.gateway, err = world.Start(ctx, world.Config{Dir: dir, Binary: b.Binary, MaxEntries: 100_000, MaxBytes: "256MiB"}); err != nil {
		return err
	}
	if b.key, err = signingKey(b.gateway.PEM); err != nil {
		return err
	}
	viewers := missConnections
	if b.Peers {
		viewers += b.newViewers()
	}
	if b.viewers, err = b.gateway.Issuer.Viewers(viewers); err != nil {
		return err
	}
	if b.answer, err = b.sample(ctx, hot); err != nil {
		return fmt.Errorf("before the load: %w", err)
	}
	return b.startPeers(ctx)
}

// warm runs everything for a second: just-in-time compilers and connection
// buffers belong to no round.
func (b *bench) warm(ctx context.Context, groups [][]*contender) error {
	for _, g := range groups {
		for _, one := range g {
			if one.series.Connections == 0 {
				continue // it only signs
			}
			if _, err := one.run(ctx, time.Second); err != nil {
				return fmt.Errorf("%s: %w", one.series.Name, err)
			}
		}
	}
	return nil
}

func (b *bench) round(ctx context.Context, group []*contender) error {
	for _, one := range group {
		if err := b.measure(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

const (
	// steady is the share of stolen time beyond which a window is measured again.
	steady = 0.02
	// attempts bounds that; the last window is kept, and counted.
	attempts = 4
)

// measure adds a window to a contender's series.
func (b *bench) measure(ctx context.Context, one *contender) error {
	for attempt := 1; ; attempt++ {
		before, err := world.Machine()
		if err != nil {
			return err
		}
		w, err := one.run(ctx, b.Window)
		if err != nil {
			return fmt.Errorf("%s: %w", one.series.Name, err)
		}
		after, err := world.Machine()
		if err != nil {
			return err
		}
		w.Steal = after.StealSince(before)
		if w.Steal > steady && attempt < attempts {
			b.discarded++
			continue
		}
		if w.Steal > steady {
			b.stolen++
		}
		one.series.Windows = append(one.series.Windows, w)
		return nil
	}
}
