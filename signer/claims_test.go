package signer_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

func TestClaimsAreThoseThatWereSigned(t *testing.T) {
	t.Parallel()
	ring := newRing(t, goBackend(t), active)
	pool := signer.NewPool(signer.Config{Ring: ring})
	t.Cleanup(pool.Stop)
	for name, change := range map[string]func(*playback.Claims){
		"plain":         func(*playback.Claims) {},
		"kid in header": func(c *playback.Claims) { c.Kid = playback.KidHeader },
		"kid in both":   func(c *playback.Claims) { c.Kid = playback.KidBoth },
		"parameters": func(c *playback.Claims) {
			c.Params = playback.Params{{Name: "asset_end_time", JSON: "60.25"}, {Name: "exclude_pdt", JSON: "true"}, {Name: "max_resolution", JSON: `"480p"`}, {Name: "time", JSON: "-1"}}
		},
		"everything": func(c *playback.Claims) {
			c.Params = playback.Params{{Name: "asset_end_time", JSON: "60"}, {Name: "width", JSON: "640"}}
			c.Restriction, c.Custom = "R1", `{"viewer":"p\u0031 \"<é>","n":1.50}`
		},
		"text to be escaped": func(c *playback.Claims) { c.Sub = "a\"\\\n\x01é<>&" },
	} {
		want := claims(t, ring)
		change(want)
		token, err := pool.Sign(t.Context(), want, playback.Turn{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := pool.Claims(token)
		if err != nil {
			t.Errorf("%s: Claims: %v", name, err)
		}
		got.Environment, got.Key, got.Thumbprint, got.Kid = want.Environment, want.Key, want.Thumbprint, want.Kid
		if diff := cmp.Diff(want, &got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestClaimsOfWhatIsNoTokenAreAnError(t *testing.T) {
	t.Parallel()
	pool := signer.NewPool(signer.Config{Ring: newRing(t, goBackend(t), active)})
	t.Cleanup(pool.Stop)
	for _, compact := range []string{"", "a", "a.b.c", "a.!.c", "e30.bnVsbA.c", "e30.eyJzdWIiOjF9.c"} {
		if c, err := pool.Claims(playback.NewToken(compact)); err == nil {
			t.Errorf("Claims(%q) = %+v, want an error", compact, c)
		}
	}
}
