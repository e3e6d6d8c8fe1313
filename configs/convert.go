package configs

import (
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// Tenants returns the organizations as the tenant room knows them, in the
// order of the configuration.
func (c *Config) Tenants() []tenant.Organization {
	out := make([]tenant.Organization, 0, len(c.Organizations))
	for i := range c.Organizations {
		o := &c.Organizations[i]
		environments := make([]tenant.Environment, 0, len(o.Environments))
		for j := range o.Environments {
			environments = append(environments, o.Environments[j].tenant())
		}
		out = append(out, tenant.Organization{ID: o.ID, Name: o.Name, Environments: environments})
	}
	return out
}

func (e *Environment) tenant() tenant.Environment {
	out := tenant.Environment{
		ID:           e.ID,
		Name:         e.Name,
		Hosts:        e.Hosts,
		Anonymous:    e.Anonymous,
		ViewerCookie: e.ViewerCookie,
		ViewerQuery:  e.ViewerQuery,
		CORSOrigins:  e.CORSOrigins,
		RateLimits: tenant.RateLimits{
			Viewer: string(e.RateLimits.Viewer), IP: string(e.RateLimits.IP), AccessToken: string(e.RateLimits.AccessToken),
		},
	}
	for _, v := range e.Viewers {
		out.Issuers = append(out.Issuers, tenant.IssuerRef{Issuer: v.Issuer, Recipients: v.Recipients(), Alias: v.Alias})
	}
	for _, t := range e.AccessTokens {
		token := tenant.AccessToken{ID: t.ID, Name: t.Name, Secret: t.SecretSHA256.SecretHash}
		for _, name := range t.Permissions {
			// Names were checked against the same list; an unknown one grants nothing.
			p, _ := tenant.ParsePermission(name)
			token.Permissions |= tenant.PermissionsOf(p)
		}
		out.AccessTokens = append(out.AccessTokens, token)
	}
	return out
}

// Entries returns the static catalogue entries as the catalog room knows them,
// in the order of the configuration.
func (e *Environment) Entries() []catalog.Entry {
	out := make([]catalog.Entry, 0, len(e.PlaybackIDs))
	for i := range e.PlaybackIDs {
		p := &e.PlaybackIDs[i]
		entry := catalog.Entry{ID: p.ID, Policy: p.Policy}
		if a := p.Asset; a != nil {
			entry.Asset = &catalog.Asset{ID: a.ID, Duration: a.Duration, Status: a.Status, Passthrough: a.Passthrough, Meta: a.Meta, CreatedAt: a.CreatedAt.moment()}
		}
		if s := p.LiveStream; s != nil {
			entry.LiveStream = &catalog.LiveStream{ID: s.ID, Status: s.Status}
		}
		out = append(out, entry)
	}
	return out
}

func (t *Time) moment() *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}

// Bases returns the delivery hosts' base URLs.
func (d *Delivery) Bases() playback.Delivery {
	return playback.Delivery{Stream: d.Stream, Image: d.Image, License: d.License, Stats: d.Stats}
}
