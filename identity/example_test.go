package identity_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/playback"
)

// The request path: remembered, or inspected and verified.
func Example() {
	idp, err := identitytest.New(identitytest.Config{Issuer: "https://idp.acme.example"})
	if err != nil {
		panic(err)
	}
	keys := httptest.NewServer(idp)
	defer keys.Close()

	verifier := identity.New(identity.Config{})
	err = verifier.SetIssuers([]identity.Issuer{{
		Environment: "acme-prod", Issuer: idp.Issuer(), Alias: "main",
		Recipients: []playback.Recipient{{Claim: playback.RecipientAudience, Value: "playgate"}},
		JWKSURL:    keys.URL, Algorithms: []string{"ES256"}, MaxLifetime: 24 * time.Hour,
	}})
	if err != nil {
		panic(err)
	}
	verifier.Start(context.Background())
	defer verifier.Stop()

	token, err := idp.Token(map[string]any{"sub": "u1", "aud": "playgate", "plan": "premium"})
	if err != nil {
		panic(err)
	}
	id, ok := verifier.Remembered(token, "acme-prod", time.Time{})
	if !ok {
		claim, err := verifier.Inspect(token) // claim.Issuer and claim.Recipients choose the environment
		if err != nil {
			panic(err)
		}
		if id, err = verifier.Verify(token, claim, "acme-prod"); err != nil {
			panic(err)
		}
	}
	fmt.Println(id.Viewer.Issuer, id.Viewer.ID, id.Viewer.Claims["plan"])
	_, ok = verifier.Remembered(token, "acme-prod", time.Time{})
	fmt.Println(ok)
	// Output:
	// main u1 premium
	// true
}
