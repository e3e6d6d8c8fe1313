package middleware

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ulule/limiter/v3"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// Environment is one environment as the edge sees it. Immutable.
type Environment struct {
	*tenant.Environment

	// Number is the environment's place in the snapshot, from 0: an index for what
	// is kept per environment.
	Number int
	// Server is the server's own counterpart, set before the snapshot is in force.
	Server any

	viewer, ip, accessToken limiter.Rate // the zero rate: no limit
}

// SnapshotConfig is what a Snapshot is made of.
type SnapshotConfig struct {
	Directory *tenant.Directory
	// TrustedProxies are those whose X-Forwarded-For, -Host and -Proto count.
	TrustedProxies []netip.Prefix
	// UnresolvedRateLimit is per address, for requests that name no
	// environment, in ulule/limiter's format; "" is none.
	UnresolvedRateLimit string
}

// Snapshot is one configuration of the edge, used by a request from beginning
// to end. Immutable.
type Snapshot struct {
	directory    *tenant.Directory
	environments []*Environment // in the order of the configuration
	byID         map[playback.EnvironmentID]*Environment
	tokens       map[string]*Environment // access token ID → its environment
	proxies      []netip.Prefix
	unresolved   limiter.Rate
}

// NewSnapshot compiles a configuration. The error joins all rates that are
// none.
func NewSnapshot(cfg SnapshotConfig) (*Snapshot, error) {
	s := &Snapshot{
		directory: cfg.Directory,
		byID:      map[playback.EnvironmentID]*Environment{},
		tokens:    map[string]*Environment{},
	}
	var problems []error
	rate := func(what, text string) limiter.Rate {
		r, err := ParseRate(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", what, err))
		}
		return r
	}
	s.unresolved = rate("unresolved_rate_limit", cfg.UnresolvedRateLimit)
	for _, e := range cfg.Directory.Environments() {
		compiled := &Environment{
			Environment: e,
			Number:      len(s.environments),
			viewer:      rate(string(e.ID)+": rate_limits.viewer", e.RateLimits.Viewer),
			ip:          rate(string(e.ID)+": rate_limits.ip", e.RateLimits.IP),
			accessToken: rate(string(e.ID)+": rate_limits.access_token", e.RateLimits.AccessToken),
		}
		s.environments = append(s.environments, compiled)
		s.byID[e.ID] = compiled
		for i := range e.AccessTokens {
			s.tokens[e.AccessTokens[i].ID] = compiled
		}
	}
	for _, p := range cfg.TrustedProxies {
		s.proxies = append(s.proxies, unmapped(p))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return s, nil
}

// unmapped returns a prefix in the form in which addresses are compared with
// it: ::ffff:10.0.0.0/104 is 10.0.0.0/8.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}

// ParseRate reads a rate in ulule/limiter's format, such as "120-M". The empty
// text is the zero rate, which limits nothing; a limit below 1 is refused.
func ParseRate(text string) (limiter.Rate, error) {
	if text == "" {
		return limiter.Rate{}, nil
	}
	rate, err := limiter.NewRateFromFormatted(text)
	if err != nil || rate.Limit < 1 {
		return limiter.Rate{}, fmt.Errorf(`%.40q is not a rate: want a number and S, M, H or D, such as "120-M"`, text)
	}
	return rate, nil
}

// Trusts reports whether the address is that of a trusted proxy.
func (s *Snapshot) Trusts(addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	for _, p := range s.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Len returns the number of environments.
func (s *Snapshot) Len() int { return len(s.environments) }

// ByID returns the environment with the ID.
func (s *Snapshot) ByID(id playback.EnvironmentID) (*Environment, bool) {
	e, ok := s.byID[id]
	return e, ok
}

// Sole returns the only environment, nil if there is another number of them.
func (s *Snapshot) Sole() *Environment {
	if len(s.environments) != 1 {
		return nil
	}
	return s.environments[0]
}

// named returns the environment that a request names when its credential names
// none: by its host, else the only one; nil if neither does.
func (x *Exchange) named() *Environment {
	if x.Host != nil {
		return x.Host
	}
	return x.Snapshot.Sole()
}

// CountedFor returns the environment that the request is counted for: its own
// or, where it was answered before that was known, the one that it names without
// its credential; nil for none.
func (x *Exchange) CountedFor() *Environment {
	if x.Environment != nil || x.Snapshot == nil {
		return x.Environment
	}
	return x.named()
}

// IsViewerQuery reports whether any environment reads viewer tokens from a
// query parameter of the name.
func (s *Snapshot) IsViewerQuery(name string) bool {
	for _, e := range s.environments {
		if name != "" && e.ViewerQuery == name {
			return true
		}
	}
	return false
}
