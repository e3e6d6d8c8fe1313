package configs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func TestTenantsCarryWhatTheTenantRoomNeeds(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `
organizations:
  - {id: acme, name: Acme, environments: [{id: acme-prod, name: Production, hosts: [Play.Example], anonymous: true, viewer_cookie: c, viewer_query: q,
      viewers: [{issuer: i, audience: a, alias: x, jwks_url: "https://idp.example/j", algorithms: [RS256]}],
      access_tokens: [{id: t1, name: backend, secret_sha256: `+hash+`, permissions: [video:read, system:write]}],
      cors_origins: ["https://a.example"], rate_limits: {viewer: 1-S, ip: "", access_token: 2-D}}, {id: acme-dev}]}
  - {id: school}
`, nil).Config
	secret, err := tenant.ParseSecretHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	want := []tenant.Organization{
		{ID: "acme", Name: "Acme", Environments: []tenant.Environment{
			{
				ID: "acme-prod", Name: "Production", Hosts: []string{"play.example"}, Anonymous: true, ViewerCookie: "c", ViewerQuery: "q",
				Issuers: []tenant.IssuerRef{{Issuer: "i", Recipients: []playback.Recipient{{Claim: playback.RecipientAudience, Value: "a"}}, Alias: "x"}},
				AccessTokens: []tenant.AccessToken{
					{ID: "t1", Name: "backend", Secret: secret, Permissions: tenant.PermissionsOf(tenant.VideoRead, tenant.SystemWrite)},
				},
				CORSOrigins: []string{"https://a.example"}, RateLimits: tenant.RateLimits{Viewer: "1-S", AccessToken: "2-D"},
			},
			{ID: "acme-dev", RateLimits: tenant.RateLimits{Viewer: "120-M", IP: "600-M", AccessToken: "60000-M"}},
		}},
		{ID: "school"},
	}
	if diff := cmp.Diff(want, c.Tenants(), compare()); diff != "" {
		t.Error(diff)
	}
	if _, err := tenant.New(c.Tenants()); err != nil {
		t.Error(err)
	}
}

func TestEntriesCarryWhatTheCatalogRoomNeeds(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, `
playback_ids:
  - {id: P1, policy: drm, asset: {id: A1, duration: 2, status: ready, passthrough: p, meta: {t: x}, created_at: 100}}
  - {id: P2, asset: {id: A1}, live_stream: {id: L1}}
  - {id: P3, policy: public, live_stream: {id: L1, status: idle}}`, nil)
	moment := time.Unix(100, 0)
	want := []catalog.Entry{
		{ID: "P1", Policy: playback.PolicyDRM, Asset: &catalog.Asset{
			ID: "A1", Duration: new(2.0), Status: new("ready"), Passthrough: new("p"), Meta: map[string]any{"t": "x"}, CreatedAt: &moment,
		}},
		{ID: "P2", Policy: playback.PolicySigned, Asset: &catalog.Asset{ID: "A1"}, LiveStream: &catalog.LiveStream{ID: "L1"}},
		{ID: "P3", Policy: playback.PolicyPublic, LiveStream: &catalog.LiveStream{ID: "L1", Status: new("idle")}},
	}
	if diff := cmp.Diff(want, e.Entries()); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentsYieldPathsInOrder(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "organizations: [{id: a, environments: [{id: x}, {id: y}]}, {id: b}, {id: c, environments: [{id: z}]}]", nil).Config
	var got []string
	for path, e := range c.Environments() {
		got = append(got, path+" "+string(e.ID))
	}
	want := []string{"organizations[0].environments[0] x", "organizations[0].environments[1] y", "organizations[2].environments[0] z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
