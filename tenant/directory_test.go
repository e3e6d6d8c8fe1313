package tenant_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func org(id playback.OrganizationID, environments ...tenant.Environment) tenant.Organization {
	return tenant.Organization{ID: id, Environments: environments}
}

func mustDirectory(t *testing.T, organizations ...tenant.Organization) *tenant.Directory {
	t.Helper()
	d, err := tenant.New(organizations)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ids(environments []*tenant.Environment) []string {
	out := []string{}
	for _, e := range environments {
		out = append(out, string(e.ID))
	}
	return out
}

func ref(issuer, audience string) tenant.IssuerRef {
	return tenant.IssuerRef{Issuer: issuer, Recipients: recipients(playback.RecipientAudience, audience), Alias: "main"}
}

func recipients(claim playback.RecipientClaim, values ...string) []playback.Recipient {
	var out []playback.Recipient
	for _, v := range values {
		out = append(out, playback.Recipient{Claim: claim, Value: v})
	}
	return out
}

func auds(values ...string) []playback.Recipient {
	return recipients(playback.RecipientAudience, values...)
}

func TestByHostFindsHostsAndTheirRoots(t *testing.T) {
	t.Parallel()
	d := mustDirectory(t,
		org("acme", tenant.Environment{ID: "prod", Hosts: []string{"Play.Acme.Example.", "10.0.0.1", "[::1]"}}),
		org("school", tenant.Environment{ID: "demo", Hosts: []string{"school.example"}}),
	)
	for _, c := range []struct {
		host string
		env  string
		root tenant.Root
	}{
		{"play.acme.example", "prod", tenant.RootNone},
		{"stream.play.acme.example", "prod", tenant.RootStream},
		{"image.play.acme.example", "prod", tenant.RootImage},
		{"10.0.0.1", "prod", tenant.RootNone},
		{"::1", "prod", tenant.RootNone},
		{"school.example", "demo", tenant.RootNone},
		{"stream.school.example", "demo", tenant.RootStream},
		{"stream.10.0.0.1", "", 0},
		{"license.school.example", "", 0},
		{"example", "", 0},
		{"", "", 0},
	} {
		e, root, ok := d.ByHost(c.host)
		if ok != (c.env != "") || ok && (string(e.ID) != c.env || root != c.root) {
			t.Errorf("ByHost(%q) = %v, %v, %v, want %q, %v", c.host, e, root, ok, c.env, c.root)
		}
	}
}

func TestByIDAndEnvironmentsKnowTheOwner(t *testing.T) {
	t.Parallel()
	d := mustDirectory(t, org("acme", tenant.Environment{ID: "a"}, tenant.Environment{ID: "b"}), org("school", tenant.Environment{ID: "c"}))
	if diff := cmp.Diff([]string{"a", "b", "c"}, ids(d.Environments())); diff != "" {
		t.Errorf("Environments: %s", diff)
	}
	e, ok := d.ByID("c")
	if !ok || e.Organization != "school" {
		t.Errorf("ByID(c) = %v, %v", e, ok)
	}
	if _, ok := d.ByID("d"); ok {
		t.Error("ByID finds an environment that is not there")
	}
}

func TestSoleIsTheOnlyEnvironment(t *testing.T) {
	t.Parallel()
	if _, ok := mustDirectory(t).Sole(); ok {
		t.Error("Sole finds one of none")
	}
	if e, ok := mustDirectory(t, org("a"), org("b", tenant.Environment{ID: "x"})).Sole(); !ok || e.ID != "x" {
		t.Errorf("Sole = %v, %v, want x", e, ok)
	}
	if _, ok := mustDirectory(t, org("a", tenant.Environment{ID: "x"}, tenant.Environment{ID: "y"})).Sole(); ok {
		t.Error("Sole finds one of two")
	}
}

func TestByIssuerNeedsIssuerAndRecipient(t *testing.T) {
	t.Parallel()
	const idp, other = "https://idp.example", "https://other.example"
	d := mustDirectory(t, org("acme",
		tenant.Environment{ID: "a", Hosts: []string{"a.example"}, Issuers: []tenant.IssuerRef{ref(idp, "one"), ref(idp, "two")}},
		tenant.Environment{ID: "b", Hosts: []string{"b.example"}, Issuers: []tenant.IssuerRef{ref(idp, "two"), ref(other, "one")}},
		tenant.Environment{ID: "c", Issuers: []tenant.IssuerRef{
			{Issuer: idp, Recipients: recipients(playback.RecipientClientID, "app", "tv")},
			{Issuer: other, Recipients: auds("x", "y")},
		}},
		tenant.Environment{ID: "d", Issuers: []tenant.IssuerRef{{Issuer: idp, Recipients: recipients(playback.RecipientAuthorizedParty, "site")}}},
	))
	client := recipients(playback.RecipientClientID, "app")
	party := recipients(playback.RecipientAuthorizedParty, "site")
	for _, c := range []struct {
		issuer     string
		recipients []playback.Recipient
		want       []string
	}{
		{idp, auds("one"), []string{"a"}},
		{idp, auds("two"), []string{"a", "b"}},
		{other, auds("one"), []string{"b"}},
		{other, auds("two"), []string{}},
		{other, auds("y"), []string{"c"}},
		{other, auds("x", "y"), []string{"c"}},
		{idp, auds("three", "two", "one"), []string{"a", "b"}},
		{idp, auds("one", "two"), []string{"a", "b"}},
		{idp, auds("ONE"), []string{}},
		{idp, auds("app", "site"), []string{}},
		{idp, client, []string{"c"}},
		{idp, recipients(playback.RecipientClientID, "tv"), []string{"c"}},
		{idp, recipients(playback.RecipientAuthorizedParty, "app"), []string{}},
		{idp, append(client, party...), []string{"c", "d"}},
		{other, client, []string{}},
		{idp + "/", auds("one"), []string{}},
		{idp, nil, []string{}},
		{"", auds(""), []string{}},
	} {
		if diff := cmp.Diff(c.want, ids(d.ByIssuer(c.issuer, c.recipients))); diff != "" {
			t.Errorf("ByIssuer(%q, %q): %s", c.issuer, c.recipients, diff)
		}
	}
	// Merging two answers must not write into the directory's own slices.
	d.ByIssuer(idp, auds("one", "two"))
	if diff := cmp.Diff([]string{"a"}, ids(d.ByIssuer(idp, auds("one")))); diff != "" {
		t.Errorf("ByIssuer after merging: %s", diff)
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	const idp = "https://idp.example"
	d := mustDirectory(t, org("acme", tenant.Environment{ID: "a", Hosts: []string{"a.example"}, Issuers: []tenant.IssuerRef{ref(idp, "one")}}))
	audiences := auds("one")
	n := testing.AllocsPerRun(100, func() {
		d.ByID("a")
		d.ByHost("stream.a.example")
		d.ByHost("nobody.example")
		d.ByIssuer(idp, audiences)
	})
	if n != 0 {
		t.Errorf("lookups allocate %v times, want 0", n)
	}
}

func TestNewRefusesWhatIsNotUnique(t *testing.T) {
	t.Parallel()
	idp := ref("https://idp.example", "playgate")
	client := tenant.IssuerRef{Issuer: idp.Issuer, Recipients: recipients(playback.RecipientClientID, "playgate")}
	party := tenant.IssuerRef{Issuer: idp.Issuer, Recipients: recipients(playback.RecipientAuthorizedParty, "playgate")}
	several := tenant.IssuerRef{Issuer: idp.Issuer, Recipients: auds("other", "playgate")}
	token := tenant.AccessToken{ID: "t1"}
	env := func(id playback.EnvironmentID, change func(*tenant.Environment)) tenant.Environment {
		e := tenant.Environment{ID: id}
		change(&e)
		return e
	}
	hosts := func(id playback.EnvironmentID, hosts ...string) tenant.Environment {
		return env(id, func(e *tenant.Environment) { e.Hosts = hosts })
	}
	tokens := func(id playback.EnvironmentID, list ...tenant.AccessToken) tenant.Environment {
		return env(id, func(e *tenant.Environment) { e.AccessTokens = list })
	}
	issuers := func(id playback.EnvironmentID, hosts []string, list ...tenant.IssuerRef) tenant.Environment {
		return env(id, func(e *tenant.Environment) { e.Hosts, e.Issuers = hosts, list })
	}
	for name, c := range map[string]struct {
		given []tenant.Organization
		want  []string // "path ← other path"
	}{
		"environment IDs across organizations": {
			[]tenant.Organization{org("a", hosts("x")), org("b", hosts("x"))},
			[]string{"organizations[1].environments[0].id ← organizations[0].environments[0].id"},
		},
		"organization IDs": {[]tenant.Organization{org("a"), org("a")}, []string{"organizations[1].id ← organizations[0].id"}},
		"access tokens in one environment": {
			[]tenant.Organization{org("a", tokens("x", token, token))},
			[]string{"organizations[0].environments[0].access_tokens[1].id ← organizations[0].environments[0].access_tokens[0].id"},
		},
		"access tokens in two environments": {
			[]tenant.Organization{org("a", tokens("x", token), tokens("y", token))},
			[]string{"organizations[0].environments[1].access_tokens[0].id ← organizations[0].environments[0].access_tokens[0].id"},
		},
		"hosts, whatever their spelling": {
			[]tenant.Organization{org("a", hosts("x", "play.example"), hosts("y", "PLAY.example."))},
			[]string{"organizations[0].environments[1].hosts[0] ← organizations[0].environments[0].hosts[0]"},
		},
		"a host in one environment twice": {
			[]tenant.Organization{org("a", hosts("x", "play.example", "play.example"))},
			[]string{"organizations[0].environments[0].hosts[1] ← organizations[0].environments[0].hosts[0]"},
		},
		"a host that is an earlier one's stream root": {
			[]tenant.Organization{org("a", hosts("x", "play.example"), hosts("y", "stream.play.example"))},
			[]string{"organizations[0].environments[1].hosts[0] ← organizations[0].environments[0].hosts[0]"},
		},
		"a host that is a later one's image root": {
			[]tenant.Organization{org("a", hosts("x", "image.play.example"), hosts("y", "play.example"))},
			[]string{"organizations[0].environments[1].hosts[0] ← organizations[0].environments[0].hosts[0]"},
		},
		"an issuer and audience where one environment has no hosts": {
			[]tenant.Organization{org("a", issuers("x", []string{"x.example"}, idp), issuers("y", nil, idp))},
			[]string{"organizations[0].environments[1].viewers[0] ← organizations[0].environments[0].viewers[0]"},
		},
		"one of several audiences": {
			[]tenant.Organization{org("a", issuers("x", nil, several), issuers("y", nil, idp))},
			[]string{"organizations[0].environments[1].viewers[0] ← organizations[0].environments[0].viewers[0]"},
		},
		"an issuer and client ID": {
			[]tenant.Organization{org("a", issuers("x", nil, client), issuers("y", []string{"y.example"}, client))},
			[]string{"organizations[0].environments[1].viewers[0] ← organizations[0].environments[0].viewers[0]"},
		},
		"a client ID in another claim": {
			[]tenant.Organization{org("a", issuers("x", nil, client), issuers("y", nil, party))},
			[]string{"organizations[0].environments[1].viewers[0] ← organizations[0].environments[0].viewers[0]"},
		},
		"a client ID that is an audience elsewhere": {
			[]tenant.Organization{org("a", issuers("x", nil, client), issuers("y", nil, idp))},
			[]string{"organizations[0].environments[1].viewers[0] ← organizations[0].environments[0].viewers[0]"},
		},
		"an issuer that many share, each told of once": {
			[]tenant.Organization{org("a", issuers("w", []string{"w.example"}, idp), issuers("x", nil, idp), issuers("y", []string{"y.example"}, idp), issuers("z", nil, idp))},
			[]string{
				"organizations[0].environments[1].viewers[0] ← organizations[0].environments[0].viewers[0]",
				"organizations[0].environments[2].viewers[0] ← organizations[0].environments[1].viewers[0]",
				"organizations[0].environments[3].viewers[0] ← organizations[0].environments[0].viewers[0]",
			},
		},
		"an issuer and client ID in one environment twice": {
			[]tenant.Organization{org("a", issuers("x", nil, client, client))},
			[]string{"organizations[0].environments[0].viewers[1] ← organizations[0].environments[0].viewers[0]"},
		},
		"an issuer and audience in one environment twice": {
			[]tenant.Organization{org("a", issuers("x", []string{"x.example"}, idp, idp))},
			[]string{"organizations[0].environments[0].viewers[1] ← organizations[0].environments[0].viewers[0]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tenant.New(c.given)
			if err == nil {
				t.Fatal("New accepts it")
			}
			if _, ok := errors.AsType[*tenant.ClashError](err); !ok {
				t.Errorf("New = %v, want a *ClashError", err)
			}
			clashes := tenant.Clashes(c.given)
			if len(clashes) != len(c.want) {
				t.Fatalf("Clashes = %v, want %v", clashes, c.want)
			}
			for i, want := range c.want {
				path, other, _ := strings.Cut(want, " ← ")
				if clashes[i].Path != path || !strings.Contains(clashes[i].Message, other) {
					t.Errorf("clash = %v, want it at %s and to name %s", clashes[i], path, other)
				}
			}
		})
	}
}

func TestNewAcceptsWhatHostTellsApart(t *testing.T) {
	t.Parallel()
	idp := ref("https://idp.example", "playgate")
	client := tenant.IssuerRef{Issuer: idp.Issuer, Recipients: recipients(playback.RecipientClientID, "playgate")}
	mustDirectory(t, org("a",
		tenant.Environment{ID: "x", Hosts: []string{"x.example"}, Issuers: []tenant.IssuerRef{client}},
		tenant.Environment{ID: "y", Hosts: []string{"y.example"}, Issuers: []tenant.IssuerRef{idp}},
	))
	// One environment may accept a client's ID tokens and its access tokens.
	mustDirectory(t, org("a", tenant.Environment{ID: "x", Issuers: []tenant.IssuerRef{idp, client}}))
	mustDirectory(t, org("a",
		tenant.Environment{ID: "x", Hosts: []string{"x.example"}, Issuers: []tenant.IssuerRef{idp}},
		tenant.Environment{ID: "y", Hosts: []string{"y.example"}, Issuers: []tenant.IssuerRef{idp}},
		tenant.Environment{ID: "z", Issuers: []tenant.IssuerRef{ref("https://idp.example", "other")}},
	))
}

func TestNewRefusesIDsAndHostsOutOfTheirGrammar(t *testing.T) {
	t.Parallel()
	_, err := tenant.New([]tenant.Organization{{ID: "A", Environments: []tenant.Environment{
		{ID: "-x", Hosts: []string{"a b"}, AccessTokens: []tenant.AccessToken{{ID: "a:b"}}},
	}}})
	for _, want := range []string{
		"organizations[0].id:", "organizations[0].environments[0].id:", "organizations[0].environments[0].hosts[0]:",
		"organizations[0].environments[0].access_tokens[0].id:",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want a problem at %s", err, want)
		}
	}
}

func TestNewCopiesWhatItIsGiven(t *testing.T) {
	t.Parallel()
	given := []tenant.Organization{org("a", tenant.Environment{
		ID: "x", Hosts: []string{"X.example"}, CORSOrigins: []string{"https://x.example"}, AccessTokens: []tenant.AccessToken{{ID: "t1"}},
	})}
	d := mustDirectory(t, given...)
	e := &given[0].Environments[0]
	e.ID, e.Hosts[0], e.CORSOrigins[0], e.AccessTokens[0].ID = "y", "y", "*", "t2"
	got, _ := d.Sole()
	if got.ID != "x" || got.Hosts[0] != "x.example" || got.CORSOrigins[0] != "https://x.example" || got.AccessTokens[0].ID != "t1" {
		t.Errorf("the directory changed with its input: %+v", got)
	}
}

func TestAllowsOriginComparesWholeOrigins(t *testing.T) {
	t.Parallel()
	listed := &tenant.Environment{CORSOrigins: []string{"https://www.acme.example"}}
	all := &tenant.Environment{CORSOrigins: []string{"*"}}
	for _, c := range []struct {
		e      *tenant.Environment
		origin string
		want   bool
	}{
		{listed, "https://www.acme.example", true},
		{listed, "http://www.acme.example", false},
		{listed, "https://www.acme.example:8443", false},
		{listed, "https://www.acme.example.evil.example", false},
		{listed, "null", false},
		{listed, "", false},
		{all, "https://evil.example", true},
		{all, "null", false},
		{all, "", false},
		{&tenant.Environment{}, "https://www.acme.example", false},
	} {
		if got := c.e.AllowsOrigin(c.origin); got != c.want {
			t.Errorf("AllowsOrigin(%q) with %q = %v, want %v", c.origin, c.e.CORSOrigins, got, c.want)
		}
	}
}
