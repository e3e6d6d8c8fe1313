package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	dependencyEvery = time.Second
	dependencyWait  = time.Second // longer than that is no answer
)

// The names of dependencies, in metrics, in /readyz and in the log.
const (
	storeDependency    = "store"
	keystoreDependency = "keystore"
)

// dependency is something outside the process that may be down while the
// gateway serves from what it knows.
type dependency struct {
	name    string
	check   func(context.Context) error
	without string // what does not work meanwhile
	// withoutWrites is what does not work if it can be read, but not written.
	withoutWrites string
}

// outage is a dependency that does not answer, or cannot be written.
type outage struct {
	since      time.Time
	unwritable string // why it cannot be written; "": it does not answer
}

// dependencies tells which dependencies answer.
type dependencies struct {
	all []dependency
	log *slog.Logger
	now func() time.Time // a clock that is never set
	up  *prometheus.GaugeVec

	mu   sync.Mutex
	down map[string]outage
}

func newDependencies(log *slog.Logger, now func() time.Time, registry prometheus.Registerer, all ...dependency) *dependencies {
	d := &dependencies{all: all, log: log, now: now, down: map[string]outage{}, up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "playgate_dependency_up",
		Help: "1 if the dependency (store, keystore) answers, and the store can be written; else 0. It is asked once a second.",
	}, []string{"dependency"})}
	registry.MustRegister(d.up)
	for _, one := range all {
		d.up.WithLabelValues(one.name).Set(1)
	}
	return d
}

// run asks every dependency once a second until the context ends.
func (d *dependencies) run(ctx context.Context) {
	ticker := time.NewTicker(dependencyEvery)
	defer ticker.Stop()
	for {
		for i := range d.all {
			d.ask(ctx, &d.all[i])
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (d *dependencies) ask(ctx context.Context, one *dependency) {
	limited, cancel := context.WithTimeout(ctx, dependencyWait)
	defer cancel()
	err := one.check(limited)
	if ctx.Err() != nil {
		return // the process stops
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	was, wasDown := d.down[one.name]
	if err == nil {
		if wasDown {
			delete(d.down, one.name)
			d.up.WithLabelValues(one.name).Set(1)
			d.log.Info("a dependency answers again", "dependency", one.name, "after", playback.FormatDuration(d.now().Sub(was.since)))
		}
		return
	}
	is := outage{since: d.now()}
	if errors.Is(err, store.ErrNotWritable) {
		is.unwritable = err.Error()
	}
	if wasDown {
		is.since = was.since
	}
	d.down[one.name] = is
	if wasDown && (was.unwritable == "") == (is.unwritable == "") {
		return
	}
	d.up.WithLabelValues(one.name).Set(0)
	if is.unwritable != "" {
		d.log.Error("a dependency cannot be written", "dependency", one.name, "without", one.withoutWrites, "error", err)
	} else {
		d.log.Error("a dependency does not answer", "dependency", one.name, "without", one.without, "error", err)
	}
}

// degraded returns the names of those that do not answer, and a sentence about
// each.
func (d *dependencies) degraded() (names, reasons []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.all {
		is, down := d.down[one.name]
		if !down {
			continue
		}
		names = append(names, one.name)
		since := playback.FormatDuration(d.now().Sub(is.since))
		if is.unwritable != "" {
			reasons = append(reasons, fmt.Sprintf("%s; for %s, %s", is.unwritable, since, one.withoutWrites))
		} else {
			reasons = append(reasons, fmt.Sprintf("the %s has not answered for %s: %s", one.name, since, one.without))
		}
	}
	slices.Sort(names)
	return names, reasons
}

// watched are the dependencies of this gateway.
func (a *App) watched() []dependency {
	return []dependency{
		{
			storeDependency, a.store.Ping, "requests whose rules need what a viewer holds, changes of grants, first look-ups and webhooks are 503",
			"changes of grants, first plays of rentals, first look-ups and webhooks are 503",
		},
		{keystoreDependency, a.readsKeys, "the last keys that were read go on signing", ""},
	}
}

// readsKeys reports whether the keys of every environment can be read.
func (a *App) readsKeys(context.Context) error {
	for _, env := range a.state.Load().environments {
		if _, failing := a.keys.LastRead(env); failing {
			return fmt.Errorf("the keys of environment %s cannot be read", env)
		}
	}
	return nil
}
