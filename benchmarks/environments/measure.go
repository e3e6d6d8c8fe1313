package environments

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/playgate/playgate/benchmarks/world"
)

// Config says what is measured.
type Config struct {
	Dir    string // required: an empty folder
	Binary string // required: the gateway
	Counts []int  // numbers of environments
	Own    bool   // rules and key sets of each environment's own, not shared
	// Objects is how many playback IDs one environment is measured with; 0: not.
	Objects  int
	Progress io.Writer
}

const (
	settleTime = 20 * time.Second // between being ready and being idle
	idleTime   = 30 * time.Second
	patience   = 20 * time.Minute // of each step
)

// Figures are what was measured with a number of environments.
type Figures struct {
	Environments int
	Load         string        // the machine's load average before
	Ready        time.Duration // until /readyz says so
	Complete     time.Duration // until every environment can sign
	StartCPU     time.Duration // of the process until then
	IdleCPU      float64       // share of a core
	RSS, Highest int64         // bytes, idle and at the most so far
	Reload       time.Duration // one environment changed, from SIGHUP until it is logged
	ReloadCPU    time.Duration // from SIGHUP until two seconds after
	Withdraw     time.Duration // from a key file's removal until the key is published no more
	Stop         time.Duration // SIGTERM until the end; drain_delay is 0
	Check        time.Duration // check-config
	CheckCPU     time.Duration
	CheckRSS     int64 // at the most
}

// Run measures each number of environments.
func Run(ctx context.Context, c Config) ([]Figures, error) {
	var all []Figures
	for _, n := range c.Counts {
		f := &fixture{dir: filepath.Join(c.Dir, fmt.Sprint(n)), count: n, own: c.Own}
		figures, err := c.measure(ctx, f)
		if err != nil {
			return all, fmt.Errorf("%d environments: %w", n, err)
		}
		fmt.Fprintf(c.Progress, "%+v\n", figures)
		all = append(all, figures)
	}
	return all, nil
}

func (c *Config) measure(ctx context.Context, f *fixture) (figures Figures, err error) {
	if f.listen, f.admin, err = world.FreeAddresses(ctx); err != nil {
		return figures, err
	}
	if err := f.write(); err != nil {
		return figures, err
	}
	figures = Figures{Environments: f.count, Load: loadAverage()}
	if err := c.check(ctx, f, &figures); err != nil {
		return figures, err
	}
	p, err := start(f, c.Binary)
	if err != nil {
		return figures, err
	}
	defer p.kill()
	for _, step := range []func(context.Context, *Figures) error{p.measureStart, p.measureIdle, p.measureReload, p.measureWithdrawal} {
		bounded, cancel := context.WithTimeout(ctx, patience)
		err := step(bounded, &figures)
		cancel()
		if err != nil {
			return figures, err
		}
	}
	figures.Stop, err = p.stop()
	return figures, err
}

func (p *process) usage() world.Usage {
	usage, err := world.UsageOf(p.cmd.Process.Pid)
	if err != nil {
		return world.Usage{} // it has ended, which is noticed elsewhere
	}
	return usage
}

func (p *process) measureStart(ctx context.Context, f *Figures) error {
	_, err := p.await(ctx, p.started, func() (bool, error) {
		ready, complete := p.ready(ctx)
		if ready && f.Ready == 0 {
			f.Ready = time.Since(p.started)
		}
		return complete, nil
	})
	f.Complete, f.StartCPU = time.Since(p.started), p.usage().CPU
	return err
}

func (p *process) measureIdle(ctx context.Context, f *Figures) (err error) {
	pause := func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	pause(settleTime)
	begun, before := time.Now(), p.usage().CPU
	pause(idleTime)
	f.IdleCPU = (p.usage().CPU - before).Seconds() / time.Since(begun).Seconds()
	f.RSS, f.Highest, err = p.memory()
	return errors.Join(err, ctx.Err())
}

func (p *process) measureReload(ctx context.Context, f *Figures) error {
	if err := p.fixture.configure("Renamed"); err != nil {
		return err
	}
	begun, before := time.Now(), p.usage().CPU
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("asking for a reload: %w", err)
	}
	_, err := p.await(ctx, begun, func() (bool, error) {
		at, found, err := p.logged("reloaded", begun)
		f.Reload = at.Sub(begun)
		return found, err
	})
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // what is thrown away is collected
	f.ReloadCPU = p.usage().CPU - before
	return nil
}

func (p *process) measureWithdrawal(ctx context.Context, f *Figures) error {
	id := idOf(0)
	if n, err := p.published(ctx, id); err != nil || n != 1 {
		return fmt.Errorf("%s publishes %d keys, want 1: %w", id, n, err)
	}
	begun := time.Now()
	if err := os.Remove(p.fixture.path(filepath.Join("keys", id, "KEY.pem"))); err != nil {
		return fmt.Errorf("withdrawing a key: %w", err)
	}
	var err error
	f.Withdraw, err = p.await(ctx, begun, func() (bool, error) {
		n, err := p.published(ctx, id)
		return n == 0, err
	})
	return err
}

func (c *Config) check(ctx context.Context, f *fixture, figures *Figures) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Binary, "check-config", f.path("playgate.yaml")) //nolint:gosec // our own build
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	figures.Check = time.Since(begun)
	if err != nil {
		return fmt.Errorf("check-config: %w: %s", err, out[max(0, len(out)-2000):])
	}
	figures.CheckCPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		figures.CheckRSS = usage.Maxrss << 10
	}
	return nil
}

// loadAverage is the machine's, over one minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
