package tenant

import (
	"errors"
	"fmt"
	"slices"

	"github.com/playgate/playgate/playback"
)

// Root says which of an environment's hosts a request came to.
type Root uint8

// The roots of contract §2: below stream.<host> and image.<host> the redirects
// are served as on Mux's own hosts.
const (
	RootNone   Root = iota // the host itself
	RootStream             // stream.<host>
	RootImage              // image.<host>
)

// String returns the root's label.
func (r Root) String() string {
	switch r {
	case RootStream:
		return "stream"
	case RootImage:
		return "image"
	case RootNone:
	}
	return "none"
}

type root struct {
	host string
	kind Root
}

func rootsOf(host string) [2]root {
	return [2]root{{"stream." + host, RootStream}, {"image." + host, RootImage}}
}

// Directory answers who owns what. It is immutable.
type Directory struct {
	environments []*Environment // in the order of the configuration
	ids          map[playback.EnvironmentID]*Environment
	hosts        map[string]place // normalized host or root → where it leads
	meant        map[address][]*Environment
	tokens       map[string]*AccessToken
	nobody       AccessToken // what unknown IDs are compared with
}

type place struct {
	environment *Environment
	root        Root
}

// New builds a Directory. It copies what it is given. The error joins every
// invalid ID, host or name and every *ClashError.
func New(organizations []Organization) (*Directory, error) {
	var problems []error
	for _, c := range Clashes(organizations) {
		problems = append(problems, c)
	}
	d := &Directory{
		ids:    map[playback.EnvironmentID]*Environment{},
		hosts:  map[string]place{},
		meant:  map[address][]*Environment{},
		tokens: map[string]*AccessToken{},
	}
	for i := range organizations {
		o := &organizations[i]
		if !o.ID.Valid() {
			problems = append(problems, fmt.Errorf("organizations[%d].id: %.80q is not an organization ID", i, o.ID))
		}
		for j := range o.Environments {
			path := fmt.Sprintf("organizations[%d].environments[%d]", i, j)
			problems = append(problems, d.add(o, &o.Environments[j], path)...)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return d, nil
}

// add enters a copy of an environment.
func (d *Directory) add(o *Organization, given *Environment, path string) []error {
	var problems []error
	e := new(Environment)
	*e = *given
	e.Organization, e.OrganizationName = o.ID, o.Name
	e.Hosts = make([]string, len(given.Hosts))
	e.Issuers = slices.Clone(given.Issuers)
	for i := range e.Issuers {
		e.Issuers[i].Recipients = slices.Clone(e.Issuers[i].Recipients)
	}
	e.CORSOrigins = slices.Clone(given.CORSOrigins)
	e.AccessTokens = slices.Clone(given.AccessTokens)
	if !e.ID.Valid() {
		problems = append(problems, fmt.Errorf("%s.id: %.80q is not an environment ID", path, e.ID))
	}
	d.environments = append(d.environments, e)
	d.ids[e.ID] = e
	for i, text := range given.Hosts {
		host := NormalizeHost(text)
		if !ValidHost(host) {
			problems = append(problems, fmt.Errorf("%s.hosts[%d]: %.80q is not a host", path, i, text))
		}
		e.Hosts[i] = host
		d.addHost(host, e)
	}
	for _, ref := range e.Issuers {
		for _, r := range ref.Recipients {
			to := address{ref.Issuer, r}
			owners := d.meant[to]
			if len(owners) == 0 || owners[len(owners)-1] != e { // once for each environment
				d.meant[to] = append(owners, e)
			}
		}
	}
	for i := range e.AccessTokens {
		token := &e.AccessTokens[i]
		token.Environment = e.ID
		if !ValidAccessTokenID(token.ID) {
			problems = append(problems, fmt.Errorf("%s.access_tokens[%d].id: %.80q is not an access token ID", path, i, token.ID))
		}
		d.tokens[token.ID] = token
	}
	return problems
}

func (d *Directory) addHost(host string, e *Environment) {
	d.hosts[host] = place{e, RootNone}
	if isIP(host) {
		return
	}
	for _, r := range rootsOf(host) {
		d.hosts[r.host] = place{e, r.kind}
	}
}

// Environments returns all environments in the order of the configuration. The
// caller must not change the slice.
func (d *Directory) Environments() []*Environment { return d.environments }

// ByID returns the environment with the ID.
func (d *Directory) ByID(id playback.EnvironmentID) (*Environment, bool) {
	e, ok := d.ids[id]
	return e, ok
}

// ByHost returns the environment that a normalized host (NormalizeHost) leads
// to, and whether the host is one of its two roots. It does not allocate.
func (d *Directory) ByHost(host string) (*Environment, Root, bool) {
	p, ok := d.hosts[host]
	return p.environment, p.root, ok
}

// Sole returns the only environment, if there is exactly one.
func (d *Directory) Sole() (*Environment, bool) {
	if len(d.environments) != 1 {
		return nil, false
	}
	return d.environments[0], true
}

// ByIssuer returns the environments that accept viewer tokens of the issuer
// for one of the recipients, each once, in the order of the recipients and then
// of the configuration. The caller must not change the slice. With one
// recipient it does not allocate.
func (d *Directory) ByIssuer(issuer string, recipients []playback.Recipient) []*Environment {
	var out []*Environment
	for _, r := range recipients {
		found := d.meant[address{issuer, r}]
		if len(out) == 0 {
			out = found
			continue
		}
		for _, e := range found {
			if !slices.Contains(out, e) {
				out = append(slices.Clip(out), e)
			}
		}
	}
	return out
}
