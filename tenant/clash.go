package tenant

import "fmt"

// ClashError is something that must be unique in the process and is not. Paths
// start at "organizations[0]", as in the configuration.
type ClashError struct {
	Path    string
	Message string
}

// Error returns the path and what it clashes with.
func (c *ClashError) Error() string { return c.Path + ": " + c.Message }

// Clashes returns every ID, host and (issuer, audience) pair that two owners
// claim: organization, environment and access-token IDs, hosts, and hosts that
// equal the stream. or image. name below another host. The same pair of issuer
// and audience in two environments is a clash unless both list hosts, because
// then only Host could tell whose viewer it is. Empty values clash with
// nothing; that they are missing is another problem.
func Clashes(organizations []Organization) []*ClashError {
	c := clashes{
		organizations: map[string]string{},
		environments:  map[string]string{},
		tokens:        map[string]string{},
		hosts:         map[string]string{},
		roots:         map[string]rootOwner{},
		pairs:         map[pair][]pairOwner{},
	}
	for i := range organizations {
		o := &organizations[i]
		path := fmt.Sprintf("organizations[%d]", i)
		c.claim(c.organizations, string(o.ID), path+".id")
		for j := range o.Environments {
			c.environment(&o.Environments[j], fmt.Sprintf("%s.environments[%d]", path, j))
		}
	}
	return c.found
}

// clashes remembers who claimed what first, by path.
type clashes struct {
	organizations, environments, tokens, hosts map[string]string

	roots map[string]rootOwner
	pairs map[pair][]pairOwner
	found []*ClashError
}

type pair struct{ issuer, audience string }

type pairOwner struct {
	environment string // the environment's path
	path        string
	hosts       bool
}

type rootOwner struct{ host, path string }

func (c *clashes) add(path, format string, args ...any) {
	c.found = append(c.found, &ClashError{path, fmt.Sprintf(format, args...)})
}

func (c *clashes) claim(owners map[string]string, value, path string) {
	if value == "" {
		return
	}
	if first, taken := owners[value]; taken {
		c.add(path, "%q is already %s", value, first)
		return
	}
	owners[value] = path
}

func (c *clashes) environment(e *Environment, path string) {
	c.claim(c.environments, string(e.ID), path+".id")
	for i := range e.AccessTokens {
		c.claim(c.tokens, e.AccessTokens[i].ID, fmt.Sprintf("%s.access_tokens[%d].id", path, i))
	}
	for i, host := range e.Hosts {
		c.host(NormalizeHost(host), fmt.Sprintf("%s.hosts[%d]", path, i))
	}
	for i, ref := range e.Issuers {
		if ref.Issuer == "" || ref.Audience == "" {
			continue
		}
		owner := pairOwner{path, fmt.Sprintf("%s.viewers[%d]", path, i), len(e.Hosts) > 0}
		c.issuer(pair{ref.Issuer, ref.Audience}, owner)
	}
}

// host claims a host and the two roots below it, whichever of two clashing
// ones comes first in the configuration.
func (c *clashes) host(host, path string) {
	if host == "" {
		return
	}
	if owner, taken := c.roots[host]; taken {
		c.add(path, "%q is already served below %q, %s", host, owner.host, owner.path)
	}
	c.claim(c.hosts, host, path)
	if isIP(host) {
		return
	}
	for _, root := range rootsOf(host) {
		if first, taken := c.hosts[root.host]; taken {
			c.add(path, "%q serves %q below it, which is already %s", host, root.host, first)
		}
		c.roots[root.host] = rootOwner{host, path}
	}
}

func (c *clashes) issuer(p pair, owner pairOwner) {
	for _, other := range c.pairs[p] {
		switch {
		case other.environment == owner.environment:
			c.add(owner.path, "issuer %q with audience %q is already %s", p.issuer, p.audience, other.path)
		case !other.hosts || !owner.hosts:
			c.add(owner.path, "issuer %q with audience %q is also %s; both environments must list hosts, so that Host tells them apart",
				p.issuer, p.audience, other.path)
		}
	}
	c.pairs[p] = append(c.pairs[p], owner)
}
