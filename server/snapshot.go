package server

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// SnapshotConfig is what a Snapshot is made of.
type SnapshotConfig struct {
	Directory *tenant.Directory
	// Environments has what to mint from for each environment of the directory.
	Environments map[playback.EnvironmentID]*issuer.Environment
	// TrustedProxies are those whose X-Forwarded-For, -Host and -Proto count.
	TrustedProxies []netip.Prefix
	// UnresolvedRateLimit is server.unresolved_rate_limit, "" for none.
	UnresolvedRateLimit string
	// CountryHeader is a header that trusted proxies set to the viewer's country;
	// "" means none. It goes before the locator.
	CountryHeader string
}

// Snapshot is one configuration of the edge, used by a request from beginning
// to end. Immutable, but for what it remembers of the metrics.
type Snapshot struct {
	edge   *middleware.Snapshot
	place  place
	counts []atomic.Pointer[environmentCounts] // by middleware.Environment.Number; nil: no request yet
}

// NewSnapshot compiles a configuration, with all problems in one error: rates
// that are none, environments that have nothing to mint from.
func NewSnapshot(cfg SnapshotConfig) (*Snapshot, error) {
	edge, err := middleware.NewSnapshot(middleware.SnapshotConfig{
		Directory: cfg.Directory, TrustedProxies: cfg.TrustedProxies, UnresolvedRateLimit: cfg.UnresolvedRateLimit,
	})
	if err != nil {
		edge = &middleware.Snapshot{} // the rest is checked, too
	}
	problems := []error{err}
	s := &Snapshot{
		edge: edge, place: place{countryHeader: cfg.CountryHeader},
		counts: make([]atomic.Pointer[environmentCounts], edge.Len()),
	}
	for _, e := range cfg.Directory.Environments() {
		minting := cfg.Environments[e.ID]
		if minting == nil {
			problems = append(problems, fmt.Errorf("environment %s has nothing to mint from", e.ID))
		}
		if compiled, ok := edge.ByID(e.ID); ok {
			compiled.Server = minting
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return s, nil
}

// SetLocator says who is asked where viewers are. Only before the snapshot is in
// force.
func (s *Snapshot) SetLocator(l Locator) { s.place.locator = l }

// mintingOf returns what the request's environment mints from.
func mintingOf(x *middleware.Exchange) *issuer.Environment {
	return x.Environment.Server.(*issuer.Environment) //nolint:forcetypeassert // NewSnapshot put it there
}
