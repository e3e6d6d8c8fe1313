package app

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"

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
	configured   map[playback.EnvironmentID]*configs.Environment
	shadows      map[playback.EnvironmentID]*policy.Policy // nil: none
	inboxes      map[playback.EnvironmentID]*catalog.Inbox // filled before the state is in force
	certificate  *tls.Certificate                          // nil: plain HTTP
}

// maxGrants returns how many grants a viewer of an environment may have.
func (s *state) maxGrants(env playback.EnvironmentID) int {
	if e := s.configured[env]; e != nil {
		return e.Grants.MaxPerViewer
	}
	return 0 // the environment is gone
}

// load reads a configuration and builds all that depends on it: rules,
// catalogues, tenants, edge. The error is configs.Problems, all of them at
// once, wherever a path can be named. seen are the versions of the files that
// were read, whether they were accepted or not.
func load(path string, environ []string, r *rules) (_ *state, seen fileStates, err error) {
	reader := newFileReader()
	s, err := loadWith(reader, path, environ, r)
	return s, reader.seen, err
}

// rules is what documents are compiled with beside their environment: what outlives
// a reload.
type rules struct {
	compiler policy.Compiler
	metrics  *policy.Metrics // count what rules do; nil, in commands, counts nothing
}

func loadWith(reader *fileReader, path string, environ []string, r *rules) (*state, error) {
	s := &state{minting: map[playback.EnvironmentID]*issuer.Environment{}, configured: map[playback.EnvironmentID]*configs.Environment{}, inboxes: map[playback.EnvironmentID]*catalog.Inbox{}, shadows: map[playback.EnvironmentID]*policy.Policy{}}
	compile := func(document []byte, file string, o policy.Options) (*policy.Policy, error) {
		o.ReadFile, o.File = reader.read, cmp.Or(file, path)
		return r.compiler.Compile(document, o)
	}
	sets := newKeySetChecker(reader.read)
	source := configs.Source{Path: path, Environ: environ, ReadFile: reader.read, Check: func(path string, e *configs.Environment) (problems, warnings []configs.Problem) {
		compiled, problems, warnings := mintingOf(path, e, compile, r.metrics)
		s.minting[e.ID] = compiled
		shadow, wrong := compileShadow(path, e, compile)
		s.shadows[e.ID], problems = shadow, append(problems, wrong...)
		broken, unusable := sets.check(path, e)
		return append(problems, broken...), append(warnings, unusable...)
	}}
	loaded, err := source.Load()
	if err != nil {
		return nil, err
	}
	s.loaded = loaded
	for _, e := range loaded.Config.Environments() {
		s.environments = append(s.environments, e.ID)
		s.configured[e.ID] = e
		s.issuers = append(s.issuers, issuersOf(e)...)
	}
	directory, err := tenant.New(loaded.Config.Tenants())
	if err != nil {
		return nil, fmt.Errorf("building tenants: %w", err)
	}
	edge := &loaded.Config.Server
	s.edge, err = server.NewSnapshot(server.SnapshotConfig{
		Directory: directory, Environments: s.minting,
		TrustedProxies: edge.TrustedProxies, UnresolvedRateLimit: string(edge.UnresolvedRateLimit),
		CountryHeader: loaded.Config.Geo.CountryHeader,
	})
	if err != nil {
		return nil, fmt.Errorf("building the edge: %w", err)
	}
	if edge.TLS.Enabled() {
		pair, err := tls.LoadX509KeyPair(string(edge.TLS.CertFile), string(edge.TLS.KeyFile))
		if err != nil {
			return nil, configs.Problems{{Path: "server.tls", Message: err.Error()}}
		}
		s.certificate = &pair
	}
	return s, nil
}

func issuersOf(e *configs.Environment) []identity.Issuer {
	var out []identity.Issuer
	for _, v := range e.Viewers {
		out = append(out, identity.Issuer{
			Environment: e.ID, Issuer: v.Issuer, Alias: v.Alias, Recipients: v.Recipients(),
			JWKSURL: v.JWKSURL, JWKSFile: string(v.JWKSFile), CAs: v.CAs,
			Algorithms: v.Algorithms, MaxLifetime: v.MaxLifetime, IATLeeway: v.IATLeeway,
		})
	}
	return out
}

// compileFunc compiles a rule document that stands in a file; "": in the
// configuration itself.
type compileFunc func(document []byte, file string, o policy.Options) (*policy.Policy, error)

// mintingOf compiles one environment's catalogue and rules. What is wrong with
// the catalogue is reported by configs, which knows its lines.
func mintingOf(path string, e *configs.Environment, compile compileFunc, metrics *policy.Metrics) (_ *issuer.Environment, problems, warnings []configs.Problem) {
	options := policyOptions(e)
	options.Metrics = metrics
	document := e.Policy.Document
	if document == nil { // neither policy nor policy_file: no rule at all denies everything (contract §5)
		document = []byte(policy.NoRules)
	}
	rules, err := compile(document, e.Policy.File, options)
	if err != nil {
		return nil, policyProblems(path, e, err), nil
	}
	known, err := catalog.New(e.Entries())
	if err != nil {
		return nil, nil, nil
	}
	for _, text := range rules.Warnings(known.Objects()) {
		if rules.Empty() {
			break // configs warns of that, also where it stands in no document
		}
		warnings = append(warnings, policyProblem(path, e, policy.Problem{Message: text}))
	}
	return &issuer.Environment{
		ID: e.ID, Name: e.Name,
		Delivery:   e.Delivery.Bases(),
		DefaultTTL: e.Token.DefaultTTL, MaxTTL: e.Token.MaxTTL, Kid: e.Token.Kid,
		DenyUnknown: e.Catalog.Unknown == "deny",
		Catalogue:   known, Rules: rules, Revision: rules.Revision(),
		ReadsGrants: rules.ReadsGrants(), ReadsPlace: rules.ReadsPlace(),
	}, nil, warnings
}

// policyProblems names the place of each problem: in a file of its own, or
// below the configuration's path where the rules stand in place.
func policyProblems(path string, e *configs.Environment, err error) []configs.Problem {
	var list policy.Problems
	if !errors.As(err, &list) {
		return []configs.Problem{policyProblem(path, e, policy.Problem{Message: err.Error()})}
	}
	problems := make([]configs.Problem, len(list))
	for n, p := range list {
		problems[n] = policyProblem(path, e, p)
	}
	return problems
}

func policyProblem(path string, e *configs.Environment, p policy.Problem) configs.Problem {
	if e.Policy.File != "" {
		return configs.Problem{Path: path + ".policy_file", Message: e.Policy.File + ": " + p.String()}
	}
	where := path + ".policy"
	if p.Path != "" {
		where += "." + p.Path
	}
	return configs.Problem{Path: where, Message: p.Message}
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
	o := policy.Options{
		Environment: e.ID, Name: e.Name, DefaultTTL: e.Token.DefaultTTL, MaxTTL: e.Token.MaxTTL, PseudonymKey: e.Token.PseudonymKey,
		Unknown: e.Catalog.Unknown,
	}
	for i := range e.Viewers {
		o.Issuers = append(o.Issuers, e.Viewers[i].Alias)
	}
	return o
}
