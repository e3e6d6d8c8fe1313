package signer_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

func Example() {
	pem, err := os.ReadFile("testdata/rsa2048-1.pem")
	if err != nil {
		panic(err)
	}
	keys, _, err := keystore.Assemble([]keystore.Record{keystore.NewRecord("K1", "rsa2048-1.pem", pem, keystore.Life{})})
	if err != nil {
		panic(err)
	}
	backend, err := signer.OpenBackend(signer.BackendAuto, nil)
	if err != nil {
		panic(err)
	}
	ring := signer.NewRing(signer.RingConfig{Backend: backend})
	ring.Update(keystore.NewSnapshot(map[playback.EnvironmentID]keystore.Keyset{"acme": keys}))
	pool := signer.NewPool(signer.Config{Ring: ring})
	defer pool.Stop()

	id, thumbprint, _ := ring.Active("acme")
	token, err := pool.Sign(context.Background(), &playback.Claims{
		Environment: "acme", Key: id, Thumbprint: thumbprint, Sub: "PID1", Aud: "v", Exp: 1_800_000_900,
	}, playback.Turn{Caller: "u1"})
	if err != nil {
		panic(err)
	}
	fmt.Println(token, signer.Verify(token.Reveal(), ring.PublicKeys("acme"), time.Unix(1_800_000_000, 0)).Valid)
	fmt.Println(signer.Verify(token.Reveal(), ring.PublicKeys("acme"), time.Unix(1_800_000_900, 0)).Detail)
	// Output:
	// [redacted] true
	// The token expired at 2027-01-15T08:15:00Z, 0s ago.
}
