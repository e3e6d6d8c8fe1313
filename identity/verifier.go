package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// DefaultMaxRemembered is how many identities are remembered by default.
const DefaultMaxRemembered = 100_000

// rememberedToken is how many bytes the tokens of remembered identities may have on
// average; the decoded claims take a few times as much.
const rememberedToken = 128 << 20 / DefaultMaxRemembered

// Config configures a Verifier. The zero value works.
type Config struct {
	Logger *slog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
	// Witness is told what time it is by the clock of whoever serves a key set,
	// where the connection proves who that is; nil: nobody.
	Witness func(time.Time)

	// InsecureTransport replaces the HTTP transport that key sets are fetched
	// with, and with it the checks of addresses; for tests. Nil: the hardened
	// one.
	InsecureTransport http.RoundTripper

	MaxRemembered      int // identities; 0: 100,000
	MaxRememberedBytes int // bytes of their tokens; 0: 1,342 for each

	Registerer prometheus.Registerer // nil: metrics are counted, not published
}

// Verifier verifies viewer tokens. Make one with New.
type Verifier struct {
	now       func() time.Time
	witness   func(time.Time) // may be nil
	log       *slog.Logger
	metrics   *metrics
	transport http.RoundTripper
	entries   int
	bytes     int

	roster atomic.Pointer[roster] // never nil

	mu      sync.Mutex
	sources map[string]*running // guarded by mu: by "file " or "url " and location
	ctx     context.Context     // guarded by mu: nil before Start
	cancel  context.CancelFunc  // guarded by mu
	group   sync.WaitGroup      // the sources' goroutines
}

// running is a source and what ends it.
type running struct {
	*source
	cancel context.CancelFunc // nil: not started
}

// New returns a Verifier without issuers: everything is refused until
// SetIssuers. It does no I/O.
func New(c Config) *Verifier {
	v := &Verifier{
		now: c.Now, witness: c.Witness, log: c.Logger, transport: c.InsecureTransport,
		entries: c.MaxRemembered, bytes: c.MaxRememberedBytes,
		sources: make(map[string]*running),
	}
	if v.now == nil {
		v.now = time.Now //nolint:forbidigo // the one default
	}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	if v.entries <= 0 {
		v.entries = DefaultMaxRemembered
	}
	if v.bytes <= 0 {
		v.bytes = v.entries * rememberedToken
	}
	v.metrics = newMetrics(v, c.Registerer)
	v.roster.Store(v.newRoster(nil))
	return v
}

func (v *Verifier) newRoster(issuers []Issuer) *roster {
	return &roster{
		issuers: issuers,
		trusted: make(map[playback.EnvironmentID][]*trusted),
		meant:   make(map[address][]playback.EnvironmentID),
		memory:  newMemory(v.entries, v.bytes),
	}
}

// witnessed returns a transport that tells the witness.
func (v *Verifier) witnessed(transport http.RoundTripper) http.RoundTripper {
	if v.witness == nil {
		return transport
	}
	return witness{transport, v.witness}
}

// ClockChanged tells that the clock of the Config was set by as much, ahead or
// back: what was noted before moves with it, and no identity is remembered, for
// its token may have ended, or not begun.
func (v *Verifier) ClockChanged(by time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.sources {
		s.clockChanged(by)
	}
	next := *v.roster.Load()
	next.memory = newMemory(v.entries, v.bytes)
	v.roster.Store(&next)
}

// SetIssuers puts a list of issuers in force, all or, with an error that names
// every problem, nothing. Key sets that the new list names too are kept, so
// viewers notice nothing; all of them are read again in the background.
// Remembered identities are kept only if the list is the same.
func (v *Verifier) SetIssuers(issuers []Issuer) error {
	if err := validate(issuers); err != nil {
		return err
	}
	issuers = slices.Clone(issuers)
	for n := range issuers {
		issuers[n] = issuers[n].normalized()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.EqualFunc(issuers, v.roster.Load().issuers, Issuer.equal) {
		v.replaceLocked(issuers)
	}
	for _, s := range v.sources {
		s.nudge()
	}
	return nil
}

func validate(issuers []Issuer) error {
	type name struct {
		environment playback.EnvironmentID
		alias       string
	}
	type entry struct {
		environment playback.EnvironmentID
		address
	}
	var problems []error
	aliases, entries := make(map[name]bool), make(map[entry]bool)
	for n, i := range issuers {
		problem := i.Validate()
		byName := name{i.Environment, i.Alias}
		if aliases[byName] {
			problem = errors.Join(problem, fmt.Errorf("alias %q is used twice in the environment", i.Alias))
		}
		aliases[byName] = true
		for _, r := range i.Recipients {
			e := entry{i.Environment, address{i.Issuer, r}}
			if entries[e] {
				problem = errors.Join(problem, fmt.Errorf("the environment has this issuer with this %s twice", r.Claim))
			}
			entries[e] = true
		}
		if problem != nil {
			problems = append(problems, fmt.Errorf("issuers[%d]: %w", n, problem))
		}
	}
	return errors.Join(problems...)
}

// replaceLocked builds the next roster, publishes it, then starts the sources
// that are new and ends those that nobody names any more. It keeps issuers.
func (v *Verifier) replaceLocked(issuers []Issuer) {
	next := v.newRoster(issuers)
	named := make(map[string]*running)
	pins := make(map[*source][]string)
	for _, i := range issuers {
		location := i.location()
		s := named[location]
		if s == nil {
			s = v.sources[location]
		}
		if s == nil {
			s = &running{source: v.open(i)}
		}
		named[location] = s
		pins[s.source] = append(pins[s.source], i.Algorithms...)
		next.add(&trusted{i, s.source})
	}
	for s, algorithms := range pins {
		s.pins.Store(&algorithms)
	}
	v.roster.Store(next)
	for location, s := range v.sources {
		if named[location] == nil && s.cancel != nil {
			s.cancel()
		}
	}
	v.sources = named
	v.startLocked()
}

func (v *Verifier) open(i Issuer) *source {
	if i.JWKSFile != "" {
		return newSource(i.JWKSFile, fileReader(i.JWKSFile), v)
	}
	u, err := parseJWKSURL(i.JWKSURL)
	if err != nil {
		panic(err) // validate has seen it
	}
	return newSource(u.Scheme+"://"+u.Host+u.EscapedPath(), urlReader(u, v.witnessed(v.transportFor(u, i.CAs)), v.now), v)
}

// transportFor returns what a key set is fetched with: a transport that was
// given replaces the hardened one, with all that the latter checks.
func (v *Verifier) transportFor(u *url.URL, cas string) http.RoundTripper {
	if v.transport != nil {
		return v.transport
	}
	options := transportOptions{loopbackOnly: u.Scheme == "http"}
	if cas != "" {
		options.roots = x509.NewCertPool()
		options.roots.AppendCertsFromPEM([]byte(cas))
	}
	return newTransport(options)
}

// Start begins to read the key sets, each in a goroutine of its own, until the
// context ends or Stop. It returns at once. A Verifier starts once; further
// calls do nothing.
func (v *Verifier) Start(ctx context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ctx != nil {
		return
	}
	v.ctx, v.cancel = context.WithCancel(ctx)
	v.startLocked()
}

func (v *Verifier) startLocked() {
	if v.ctx == nil || v.ctx.Err() != nil { // after Stop the group must not grow
		return
	}
	for _, s := range v.sources {
		if s.cancel == nil {
			ctx, cancel := context.WithCancel(v.ctx)
			s.cancel = cancel
			s.start(ctx, &v.group)
		}
	}
}

// Settled waits until every key set has been tried once, or for the context.
// It lets start-up wait a moment for healthy issuers; failures are no errors.
func (v *Verifier) Settled(ctx context.Context) error {
	v.mu.Lock()
	waiting := make([]<-chan struct{}, 0, len(v.sources))
	for _, s := range v.sources {
		waiting = append(waiting, s.tried)
	}
	v.mu.Unlock()
	for _, tried := range waiting {
		select {
		case <-tried:
		case <-ctx.Done():
			return fmt.Errorf("waiting for key sets: %w", context.Cause(ctx))
		}
	}
	return nil
}

// Stop ends the background reads and waits for them. Verification goes on with
// what is loaded. It may be called more than once, and before Start.
func (v *Verifier) Stop() {
	v.mu.Lock()
	if v.ctx == nil {
		v.ctx, v.cancel = context.WithCancel(context.Background())
	}
	v.cancel()
	v.mu.Unlock()
	v.group.Wait()
}
