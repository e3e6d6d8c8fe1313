package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/tenant"
)

// state is everything that a reload replaces. Immutable.
type state struct {
	loaded       *configs.Loaded
	edge         *server.Snapshot
	minting      map[playback.EnvironmentID]*issuer.Environment
	issuers      []identity.Issuer
	environments []playback.EnvironmentID
	certificate  *tls.Certificate // nil: plain HTTP
	warnings     []configs.Problem
}

// ruleMetrics count what rules do; nil in check-config.
type ruleMetrics = *policy.Metrics

// load reads a configuration and builds all that depends on it. The error is
// configs.Problems wherever a path can be named.
func load(path string, environ []string, metrics ruleMetrics) (*state, error) {
	loaded, err := configs.Load(path, environ)
	if err != nil {
		return nil, err
	}
	return build(loaded, metrics)
}

// build compiles a loaded configuration: rules, catalogues, tenants, edge. It
// reports all problems at once.
func build(loaded *configs.Loaded, metrics ruleMetrics) (*state, error) {
	cfg := loaded.Config
	s := &state{loaded: loaded, warnings: loaded.Warnings}
	var problems configs.Problems
	s.minting = map[playback.EnvironmentID]*issuer.Environment{}
	for path, e := range cfg.Environments() {
		s.environments = append(s.environments, e.ID)
		for _, v := range e.Viewers {
			s.issuers = append(s.issuers, identity.Issuer{
				Environment: e.ID, Issuer: v.Issuer, Alias: v.Alias, Audience: v.Audience,
				JWKSURL: v.JWKSURL, JWKSFile: string(v.JWKSFile), Algorithms: v.Algorithms, MaxLifetime: v.MaxLifetime,
			})
		}
		compiled, found, warnings := mintingOf(path, e, metrics)
		problems = append(problems, found...)
		s.warnings = append(s.warnings, warnings...)
		s.minting[e.ID] = compiled
	}
	if len(problems) > 0 {
		return nil, problems
	}
	directory, err := tenant.New(cfg.Tenants())
	if err != nil {
		return nil, fmt.Errorf("building tenants: %w", err)
	}
	s.edge, err = server.NewSnapshot(server.SnapshotConfig{
		Directory: directory, Environments: s.minting,
		TrustedProxies: cfg.Server.TrustedProxies, UnresolvedRateLimit: string(cfg.Server.UnresolvedRateLimit),
	})
	if err != nil {
		return nil, fmt.Errorf("building the edge: %w", err)
	}
	if cfg.Server.TLS.Enabled() {
		pair, err := tls.LoadX509KeyPair(string(cfg.Server.TLS.CertFile), string(cfg.Server.TLS.KeyFile))
		if err != nil {
			return nil, configs.Problems{{Path: "server.tls", Message: err.Error()}}
		}
		s.certificate = &pair
	}
	return s, nil
}

// mintingOf compiles one environment's catalogue and rules.
func mintingOf(path string, e *configs.Environment, metrics ruleMetrics) (*issuer.Environment, configs.Problems, []configs.Problem) {
	known, err := catalog.New(e.Entries())
	if err != nil {
		return nil, configs.Problems{{Path: path + ".playback_ids", Message: err.Error()}}, nil
	}
	options := policyOptions(e)
	options.Metrics = metrics
	rules, err := policy.Compile(e.Policy.Document, options)
	if err != nil {
		return nil, policyProblems(path, e, err), nil
	}
	var warnings []configs.Problem
	for _, text := range rules.Warnings(known.Objects()) {
		warnings = append(warnings, configs.Problem{Path: policyPath(path, e), Message: text})
	}
	return &issuer.Environment{
		ID: e.ID, Name: e.Name,
		Delivery:   e.Delivery.Bases(),
		DefaultTTL: e.Token.DefaultTTL, MaxTTL: e.Token.MaxTTL, Kid: e.Token.Kid,
		DenyUnknown: e.Catalog.Unknown == "deny",
		Catalogue:   known, Rules: rules,
	}, nil, warnings
}

// policyPath names where an environment's rules stand.
func policyPath(path string, e *configs.Environment) string {
	switch {
	case e.Policy.File != "":
		return path + ".policy_file (" + e.Policy.File + ")"
	case e.Policy.Path != "":
		return e.Policy.Path
	}
	return path + ".policy"
}

// policyProblems puts a document's problems below the path of the document.
func policyProblems(path string, e *configs.Environment, err error) configs.Problems {
	where := policyPath(path, e)
	var list policy.Problems
	if !errors.As(err, &list) {
		return configs.Problems{{Path: where, Message: err.Error()}}
	}
	var problems configs.Problems
	for _, p := range list {
		problem := configs.Problem{Path: where, Message: p.Message}
		if p.Path != "" {
			problem.Path = strings.TrimSuffix(where, ".") + "." + p.Path
		}
		if p.Line > 0 && e.Policy.File != "" {
			problem.Message += fmt.Sprintf(" (line %d)", p.Line)
		}
		problems = append(problems, problem)
	}
	return problems
}

// Check does all that New does with a configuration short of running it, for
// check-config: it returns what was loaded, what is wrong (all of it), and what
// is legal but dangerous.
func Check(path string, environ []string) (*configs.Loaded, []configs.Problem, error) {
	s, err := load(path, environ, nil)
	if err != nil {
		return nil, nil, err
	}
	return s.loaded, s.warnings, nil
}

// RuleContext returns what rules for an environment are compiled with: its
// options and its catalogue. The environment's own rules may be broken.
func RuleContext(path string, environ []string, env playback.EnvironmentID) (policy.Options, []*playback.Object, error) {
	loaded, err := configs.Load(path, environ)
	if err != nil {
		return policy.Options{}, nil, err
	}
	for at, e := range loaded.Config.Environments() {
		if e.ID != env {
			continue
		}
		known, err := catalog.New(e.Entries())
		if err != nil {
			return policy.Options{}, nil, fmt.Errorf("%s.playback_ids: %w", at, err)
		}
		return policyOptions(e), known.Objects(), nil
	}
	return policy.Options{}, nil, fmt.Errorf("there is no environment %.80q", env)
}

func policyOptions(e *configs.Environment) policy.Options {
	return policy.Options{
		Environment: e.ID, Name: e.Name, DefaultTTL: e.Token.DefaultTTL, MaxTTL: e.Token.MaxTTL, PseudonymKey: e.Token.PseudonymKey,
	}
}
