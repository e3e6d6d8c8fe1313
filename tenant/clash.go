package tenant

import (
	"fmt"

	"github.com/playgate/playgate/playback"
)

// ClashError is something that must be unique in the process and is not. Paths
// start at "organizations[0]", as in the configuration.
type ClashError struct {
	Path    string
	Message string
}

// Error returns the path and what it clashes with.
func (c *ClashError) Error() string { return c.Path + ": " + c.Message }

// Clashes returns every ID, host and pair of issuer and recipient that two
// owners claim: organization, environment and access-token IDs, hosts, and hosts
// that equal the stream. or image. name below another host. The same pair in two
// environments is a clash unless both list hosts, because then only Host could
// tell whose viewer it is. There a client's ID is the same recipient whichever
// claim has it, aud, client_id or azp: issuers write it now in the one, now in
// the other, so that the kind of a viewer's token would choose the environment.
// Empty values clash with nothing; that they are missing is another problem.
func Clashes(organizations []Organization) []*ClashError {
	environments := 0 // maps that grow step by step take twice as long
	for i := range organizations {
		environments += len(organizations[i].Environments)
	}
	c := clashes{
		organizations: make(map[string]string, len(organizations)),
		environments:  make(map[string]string, environments),
		tokens:        make(map[string]string, environments),
		hosts:         make(map[string]string, environments),
		roots:         make(map[string]rootOwner, 2*environments),
		pairs:         make(map[pair]*pairOwners, environments),
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
	pairs map[pair]*pairOwners
	found []*ClashError
}

// address is what leads from a token to environments.
type address struct {
	issuer string
	playback.Recipient
}

// pair is an issuer and a recipient in whichever claim.
type pair struct{ issuer, recipient string }

type pairOwner struct {
	claim       playback.RecipientClaim
	environment string // the environment's path
	path        string
	hosts       bool
}

// pairOwners are those who claim one pair.
type pairOwners struct {
	first, hostless *pairOwner  // of the environments before: any, and one without hosts; nil: none
	here            []pairOwner // of the environment at hand
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
		for _, r := range ref.Recipients {
			owner := pairOwner{r.Claim, path, fmt.Sprintf("%s.viewers[%d]", path, i), len(e.Hosts) > 0}
			c.issuer(pair{ref.Issuer, r.Value}, owner)
		}
	}
}

// nameOf returns the word of a claim's value.
func nameOf(claim playback.RecipientClaim) string {
	if claim == playback.RecipientAudience {
		return "audience"
	}
	return string(claim)
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

// issuer claims a pair of issuer and recipient. Environments come one after the
// other, so it is enough to know the first one before, the first one without
// hosts, and all entries of the one at hand: thousands may share an issuer.
func (c *clashes) issuer(p pair, owner pairOwner) {
	if p.issuer == "" || p.recipient == "" {
		return
	}
	owners := c.pairs[p]
	if owners == nil {
		owners = new(pairOwners)
		c.pairs[p] = owners
	}
	owners.enter(owner.environment)
	for _, other := range owners.here {
		if other.path == owner.path {
			return // a list that repeats itself is another problem
		}
		if other.claim == owner.claim {
			c.add(owner.path, "issuer %q with %s %q is already %s", p.issuer, nameOf(owner.claim), p.recipient, other.path)
		}
	}
	other := owners.hostless
	if !owner.hosts {
		other = owners.first
	}
	if other != nil {
		c.add(owner.path, "issuer %q with %s %q is also %s; both environments must list hosts, so that Host tells them apart",
			p.issuer, nameOf(owner.claim), p.recipient, other.path)
	}
	owners.here = append(owners.here, owner)
}

// enter begins the entries of an environment.
func (o *pairOwners) enter(environment string) {
	if len(o.here) == 0 || o.here[0].environment == environment {
		return
	}
	before := o.here[0]
	o.here = nil
	if o.first == nil {
		o.first = &before
	}
	if o.hostless == nil && !before.hosts {
		o.hostless = &before
	}
}
