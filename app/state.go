package app

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/outbox"
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
	shadows      map[playback.EnvironmentID]*policy.Policy            // nil: none
	known        map[playback.EnvironmentID]*catalog.Catalog          // what the configuration says of playback IDs
	inboxes      map[playback.EnvironmentID]*catalog.Inbox            // filled before the state is in force
	jobs         map[playback.EnvironmentID]map[string]outbox.Handler // who does what is left to be done; the same
	certificate  *tls.Certificate                                     // nil: plain HTTP
	tolerance    time.Duration                                        // the longest webhooks.tolerance
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
func load(path string, environ []string, from *inherited) (_ *state, seen fileStates, err error) {
	reader := newFileReader(from.files)
	s, err := loadWith(reader, path, environ, from)
	if err == nil {
		from.files = reader.seen
	}
	return s, reader.seen, err
}

// inherited is what a load takes over from those before it. The zero inherited is
// that of the first one.
type inherited struct {
	compiler policy.Compiler
	memory   configs.Memory
	files    fileStates      // that the last accepted load saw
	metrics  *policy.Metrics // count what rules do; nil, in commands, counts nothing
}

// compiled is what is made of an environment alone, and so is taken over by a
// reload as long as the environment is the same. Immutable.
type compiled struct {
	rules, shadow *policy.Policy // shadow: nil for none
	known         *catalog.Catalog
}

func loadWith(reader *fileReader, path string, environ []string, from *inherited) (*state, error) {
	s := &state{minting: map[playback.EnvironmentID]*issuer.Environment{}, configured: map[playback.EnvironmentID]*configs.Environment{}, inboxes: map[playback.EnvironmentID]*catalog.Inbox{}, jobs: map[playback.EnvironmentID]map[string]outbox.Handler{}, shadows: map[playback.EnvironmentID]*policy.Policy{}, known: map[playback.EnvironmentID]*catalog.Catalog{}}
	take := func(_ string, e *configs.Environment, kept any) {
		made, ok := kept.(*compiled)
		if !ok || made == nil { // it was reported as a problem
			return
		}
		s.minting[e.ID] = mintingOf(e, made)
		s.shadows[e.ID], s.known[e.ID] = made.shadow, made.known
	}
	sets := newKeySetChecker()
	source := configs.Source{
		Path: path, Environ: environ, ReadFile: reader.read, Sum: reader.sum, Memory: &from.memory, Take: take, Exposure: exposureOfSecrets(),
		Check: func(at string, e *configs.Environment, read configs.ReadFunc) configs.Checked {
			made, found := compile(at, e, func(document []byte, file string, o policy.Options) (*policy.Policy, error) {
				o.ReadFile, o.File = read, cmp.Or(file, path)
				return from.compiler.Compile(document, o)
			}, from.metrics)
			found.Kept = made
			take(at, e, made)
			broken, unusable := sets.check(at, e, read)
			found.Problems, found.Warnings = append(found.Problems, broken...), append(found.Warnings, unusable...)
			return found
		},
	}
	loaded, err := source.Load()
	if err != nil {
		return nil, err
	}
	s.loaded = loaded
	for _, e := range loaded.Config.Environments() {
		s.environments = append(s.environments, e.ID)
		s.configured[e.ID] = e
		s.tolerance = max(s.tolerance, e.Webhooks.Tolerance)
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
		if err := s.loadCertificate(edge.TLS); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// loadCertificate reads the certificate and its key.
func (s *state) loadCertificate(files configs.TLS) error {
	pair, err := tls.LoadX509KeyPair(string(files.CertFile), string(files.KeyFile))
	if err != nil {
		return configs.Problems{{Path: "server.tls", Message: err.Error()}}
	}
	s.certificate = &pair
	return nil
}

func issuersOf(e *configs.Environment) []identity.Issuer {
	var out []identity.Issuer
	for _, v := range e.Viewers {
		out = append(out, identity.Issuer{
			Environment: e.ID, Issuer: v.Issuer, Alias: v.Alias, Recipients: v.Recipients(),
			JWKSURL: v.JWKSURL, JWKSFile: string(v.JWKSFile), CAs: v.CAs,
			Algorithms: v.Algorithms, Types: v.Types, MaxLifetime: v.MaxLifetime, IATLeeway: v.IATLeeway,
		})
	}
	return out
}

// compileFunc compiles a rule document that stands in a file; "": in the
// configuration itself.
type compileFunc func(document []byte, file string, o policy.Options) (*policy.Policy, error)

// compile compiles one environment's catalogue and rules; nil where they cannot be.
// What is wrong with the catalogue is reported by configs, which knows its lines.
func compile(path string, e *configs.Environment, with compileFunc, metrics *policy.Metrics) (*compiled, configs.Checked) {
	var found configs.Checked
	options := policyOptions(e)
	options.Metrics = metrics
	document := e.Policy.Document
	if document == nil { // neither policy nor policy_file: no rule at all denies everything (contract §5)
		document = []byte(policy.NoRules)
	}
	shadow, wrong := compileShadow(path, e, with)
	rules, err := with(document, e.Policy.File, options)
	if err != nil {
		found.Problems = append(policyProblems(path, e, err), wrong...)
		return nil, found
	}
	found.Problems = wrong
	known, err := catalog.New(e.Entries())
	if err != nil {
		return nil, found
	}
	for _, text := range rules.Warnings(known.Objects()) {
		if rules.Empty() {
			break // configs warns of that, also where it stands in no document
		}
		found.Warnings = append(found.Warnings, policyProblem(path, e, policy.Problem{Message: text}))
	}
	return &compiled{rules, shadow, known}, found
}

// mintingOf returns an environment as tokens are minted in it.
func mintingOf(e *configs.Environment, made *compiled) *issuer.Environment {
	rules := made.rules
	return &issuer.Environment{
		ID: e.ID, Name: e.Name,
		Delivery:   e.Delivery.Bases(),
		DefaultTTL: e.Token.DefaultTTL, MaxTTL: e.Token.MaxTTL, Kid: e.Token.Kid,
		DenyUnknown: e.Catalog.Unknown == "deny",
		Catalogue:   made.known, Rules: rules, Revision: rules.Revision(),
		ReadsGrants: rules.ReadsGrants(), ReadsPlace: rules.ReadsPlace(),
	}
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
		return configs.Problem{Path: path + ".policy_file", Message: p.What(), Place: p.Place(e.Policy.File)}
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
		options := policyOptions(e)
		options.Catalogue = known.Lookup
		return options, known.Objects(), nil
	}
	return policy.Options{}, nil, noEnvironment(loaded.Config, env)
}

func policyOptions(e *configs.Environment) policy.Options {
	o := policy.Options{
		Environment: e.ID, Name: e.Name, DefaultTTL: e.Token.DefaultTTL, MaxTTL: e.Token.MaxTTL, PseudonymKey: e.Token.PseudonymKey,
		Unknown: e.Catalog.Unknown, Issuers: []string{},
	}
	for i := range e.Viewers {
		o.Issuers = append(o.Issuers, e.Viewers[i].Alias)
	}
	return o
}
