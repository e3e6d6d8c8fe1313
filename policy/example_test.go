package policy_test

import (
	"fmt"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

func ExampleCompile() {
	p, err := policy.Compile([]byte(`
version: 1
rules:
  - {id: blocked, effect: deny, when: request.country == "KP", reason: geo_blocked}
  - {id: members, effect: allow, when: viewer.authenticated, grant: {ttl: 1h}}
`), policy.Options{Environment: "acme-prod"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, country := range []string{"DE", "KP"} {
		d := p.Decide(&playback.Question{
			Viewer: &playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true},
			Object: &playback.Object{ID: "PID1", Policy: playback.PolicySigned},
			Client: &playback.Client{Country: country},
		})
		if d.Refusal != nil {
			fmt.Println(country, "refused by", d.Rule, d.Refusal.Code)
			continue
		}
		fmt.Println(country, "allowed by", d.Rule, d.Grant.TTL)
	}
	// Output:
	// DE allowed by members 1h0m0s
	// KP refused by blocked geo_blocked
}
