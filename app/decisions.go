package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/audit"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// openDecisions opens the decision log, nil if there is none.
func openDecisions(cfg *configs.Decisions, log *slog.Logger, registry prometheus.Registerer) (*audit.Log, error) {
	sink, err := openSink(cfg)
	if sink == nil || err != nil {
		return nil, err
	}
	var rules []audit.RuleSampling
	for _, r := range cfg.Rules {
		rules = append(rules, audit.RuleSampling{Environment: r.Environment, Rule: r.Rule, Sampling: audit.Sampling(r.Allow)})
	}
	return audit.New(audit.Config{
		Sink: sink, Allow: audit.Sampling(cfg.Allow), Rules: rules, KeepInputs: cfg.Inputs == "full", PseudonymKey: cfg.PseudonymKey,
		Queue: cfg.Queue, Gather: gather(cfg.Output), Logger: log, Registerer: registry,
	}), nil
}

// gather is how long records wait for others: each time costs a request there.
func gather(output string) time.Duration {
	if output == "otlp" {
		return time.Second
	}
	return 0
}

func openSink(cfg *configs.Decisions) (audit.Sink, error) {
	switch cfg.Output {
	case "file":
		return audit.OpenFile(audit.FileConfig{Path: string(cfg.File.Path), MaxSize: int64(cfg.File.MaxSize), Keep: cfg.File.Keep})
	case "stdout":
		return audit.NewStream(os.Stdout), nil
	case "otlp":
		return audit.OpenOTLP(context.Background(), cfg.OTLPEndpoint)
	case "none":
		return nil, nil //nolint:nilnil // no log at all
	}
	return nil, fmt.Errorf("there is no output %q", cfg.Output)
}

// openJournal opens the decision log; the interface is nil if there is none, so
// that the pipeline pays nothing.
func (a *App) openJournal(cfg *configs.Config, registry prometheus.Registerer) (issuer.Journal, error) {
	log, err := openDecisions(&cfg.Decisions, a.log, registry)
	if err != nil {
		return nil, fmt.Errorf("opening the decision log: %w", err)
	}
	if log == nil {
		return nil, nil //nolint:nilnil // no log at all
	}
	a.life.onStop("the decision log", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, decisionsTime)
		defer cancel()
		if err := log.Stop(ctx); err != nil { // no reason to call the stop a failure
			a.log.Error("the last decisions are lost", "error", err)
		}
		return nil
	})
	return log, nil
}

// decisionsTime bounds how long a sink that does not answer may hold up a stop.
// With logTime it is less than the five seconds beyond drain_delay within which a
// gateway without requests under way stops.
const decisionsTime = 3 * time.Second

// DecisionViewer names a viewer of one of a configuration's environments.
type DecisionViewer struct {
	Environment playback.EnvironmentID
	Issuer      string // its alias or URL; "" where it can only be one
	ID          string
}

// Pseudonym returns what the configuration's decision log has for a viewer.
// unknown says that the environment has no such issuer now: records of an issuer
// that it had are found all the same.
func (v DecisionViewer) Pseudonym(path string, environ []string) (pseudonym string, unknown, err error) {
	loaded, err := configs.Load(path, environ)
	if err != nil {
		return "", nil, err
	}
	alias, found := "", false
	for _, o := range loaded.Config.Tenants() {
		for i := range o.Environments {
			if e := &o.Environments[i]; e.ID == v.Environment {
				found = true
				alias, unknown = e.AliasOf(v.Issuer)
			}
		}
	}
	key := loaded.Config.Decisions.PseudonymKey
	switch {
	case !found:
		return "", nil, fmt.Errorf("there is no environment %.80q", v.Environment)
	case key.Reveal() == "":
		return "", nil, errors.New("the configuration has no decision log, and so no key of its pseudonyms")
	case unknown != nil && v.Issuer == "":
		return "", nil, fmt.Errorf("the viewer's issuer %w", unknown)
	case unknown != nil:
		alias = v.Issuer
	}
	return audit.Pseudonym(key, v.Environment, alias, v.ID), unknown, nil
}
