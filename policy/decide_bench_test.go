package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// fourRules are four rules as operators write them: a date, a country, a claim,
// and everyone else.
const fourRules = `
version: 1
rules:
  - {id: embargo, effect: deny, reason: not_released, when: 'now < timestamp("2027-01-01T00:00:00Z") && asset.passthrough == "film-1"'}
  - {id: geo, effect: deny, reason: not_here, when: 'request.country in ["KP", "IR", "SY", "CU"]'}
  - id: premium
    effect: allow
    when: 'viewer.authenticated && viewer.claims.?plan.orValue("") == "premium"'
    grant: {ttl: 1h, types: [video, thumbnail, storyboard], params: {video: {max_resolution: 2160p}}}
  - id: preview
    effect: allow
    when: 'viewer.authenticated'
    grant: {ttl: 5m, types: [video], params: {video: {asset_start_time: 0, asset_end_time: 60}}}
`

// hotQuestion is what a verified identity asks about a catalogue entry: both
// are known for longer than one request, so they have a memo.
func hotQuestion(plan string) *playback.Question {
	return &playback.Question{
		Viewer: &playback.Viewer{
			Issuer: "main", ID: "u1", Authenticated: true, Memo: new(playback.Memo),
			Claims: map[string]any{"sub": "u1", "plan": plan, "roles": []any{"a", "b"}, "exp": 1795425054.0},
		},
		Object: &playback.Object{
			ID: "PID1", Policy: playback.PolicySigned, Known: true, Memo: new(playback.Memo),
			Asset: &playback.Asset{ID: "A1", Duration: 120.5, Passthrough: "film-2", Status: playback.AssetReady},
		},
		Client: &playback.Client{IP: netip.MustParseAddr("203.0.113.9"), Country: "DE", UserAgent: "Mozilla/5.0"},
		Now:    time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
	}
}

func mustCompile(tb testing.TB, text string, o policy.Options) *policy.Policy {
	tb.Helper()
	p, err := policy.Compile([]byte(text), o)
	if err != nil {
		tb.Fatalf("Compile: %v", err)
	}
	return p
}

// BenchmarkDecide asks four rules. hot: the identity and the catalogue entry
// have memos; cold: nothing is remembered; denied: no rule matches.
func BenchmarkDecide(b *testing.B) {
	p := mustCompile(b, fourRules, policy.Options{})
	cold := hotQuestion("premium")
	cold.Viewer.Memo, cold.Object.Memo = nil, nil
	denied := hotQuestion("free")
	denied.Viewer.Authenticated = false
	for name, q := range map[string]*playback.Question{"hot": hotQuestion("premium"), "last": hotQuestion("free"), "cold": cold, "denied": denied} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p.Decide(q)
				}
			})
		})
	}
}

// BenchmarkRule asks one rule each.
func BenchmarkRule(b *testing.B) {
	for name, when := range map[string]string{
		"true":    `true`,
		"bool":    `viewer.authenticated`,
		"string":  `asset.passthrough == "film-1"`,
		"country": `request.country in ["DE", "AT", "CH"]`,
		"claim":   `viewer.claims.plan == "premium"`,
		"or":      `viewer.claims.?plan.orValue("") == "premium"`,
		"time":    `now < timestamp("2027-01-01T00:00:00Z")`,
		"cidr":    `isIP(request.ip) && cidr("203.0.113.0/24").containsIP(request.ip)`,
		"roles":   `"b" in viewer.claims.roles`, // no static bound: its cost is counted
		"agent":   `request.user_agent.contains("bot")`,
	} {
		p := mustCompile(b, "version: 1\nrules: [{id: r, effect: allow, when: '"+when+"'}]", policy.Options{})
		q := hotQuestion("premium")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(q)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Compile([]byte(fourRules), policy.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
