package identity_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
)

// remembers reports whether a token is remembered, whatever the Host.
func remembers(v *identity.Verifier, raw string) bool {
	_, ok := v.Remembered(raw, "", time.Time{})
	return ok
}

func mustVerify(t testing.TB, v *identity.Verifier, raw string, environment playback.EnvironmentID) *identity.Identity {
	t.Helper()
	id, err := verify(v, raw, environment)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// bubble runs a Verifier on a fake clock, against hosts without a network.
func bubble(t *testing.T, n network, issuers ...identity.Issuer) *identity.Verifier {
	t.Helper()
	return start(t, identity.Config{InsecureTransport: n}, issuers...)
}

func TestIdentityIsRememberedForFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		v := bubble(t, network{host: p}, trust(prod))
		raw := sign(t, p, nil)
		if remembers(v, raw) {
			t.Error("a token is remembered before it was verified")
		}
		id := mustVerify(t, v, raw, prod)
		time.Sleep(5*time.Minute - time.Nanosecond)
		if got, ok := v.Remembered(raw, "", time.Time{}); !ok || got != id {
			t.Errorf("Remembered() = %v, %t, want the very identity that Verify returned", got, ok)
		}
		time.Sleep(time.Nanosecond)
		if remembers(v, raw) {
			t.Error("remembered for longer than 5 minutes, though it was in use")
		}
		mustVerify(t, v, raw, prod)
		if !remembers(v, raw) {
			t.Error("not remembered again")
		}
	})
}

// TestIdentityIsForgottenAtExp, not 30 seconds later: in the leeway each
// request verifies.
func TestIdentityIsForgottenAtExp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		v := bubble(t, network{host: p}, trust(prod))
		raw := sign(t, p, map[string]any{"exp": time.Now().Unix() + 60})
		mustVerify(t, v, raw, prod)
		time.Sleep(time.Minute - time.Nanosecond)
		if !remembers(v, raw) {
			t.Error("forgotten before exp")
		}
		time.Sleep(time.Nanosecond)
		if remembers(v, raw) {
			t.Error("remembered at exp")
		}
		time.Sleep(29 * time.Second)
		mustVerify(t, v, raw, prod)
		if remembers(v, raw) {
			t.Error("remembered within the leeway")
		}
		time.Sleep(time.Second)
		wantCode(t, v, raw, expired)
	})
}

func TestRefusedTokensAreNotRemembered(t *testing.T) {
	t.Parallel()
	p, evil := provider(t, noon), provider(t, noon)
	v := atNoon(t, p)
	for _, raw := range []string{
		"", "x", "a.b.c", sign(t, evil, nil), sign(t, p, map[string]any{"aud": "other"}),
		sign(t, p, map[string]any{"exp": noon().Unix() - 60}), strings.Repeat("a", identity.MaxToken+1),
	} {
		if _, err := verify(v, raw, prod); err == nil {
			t.Fatalf("%.20q was accepted", raw)
		}
		if remembers(v, raw) {
			t.Errorf("%.20q is remembered", raw)
		}
	}
}

// TestWithdrawalOfARepeatedKey: a set may list a key twice, and whichever of
// the two verified a token, its withdrawal counts.
func TestWithdrawalOfARepeatedKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		one := jwksOf(t, p)[0]
		server := new(replaceable)
		server.set(garbage(string(setFrom(t, one, one))))
		v := bubble(t, network{host: server}, trust(prod))
		before := sign(t, p, nil)
		mustVerify(t, v, before, prod)
		server.set(garbage(string(setFrom(t, one, one, map[string]any{"kty": "oct"}))))
		reload(t, v)
		if !remembers(v, before) {
			t.Error("forgotten though its key stands")
		}
		after := sign(t, p, map[string]any{"sub": "another"})
		mustVerify(t, v, after, prod)
		server.set(garbage(`{"keys":[]}`))
		reload(t, v)
		for _, raw := range []string{before, after} {
			if remembers(v, raw) {
				t.Error("remembered without its key")
			}
			wantCode(t, v, raw, invalid)
		}
	})
}

// TestWithdrawnKeyEndsRememberedIdentities: those of its own, and no others.
func TestWithdrawnKeyEndsRememberedIdentities(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil, "ES256", "ES256")
		v := bubble(t, network{host: p}, trust(prod))
		first := sign(t, p, nil)
		second, err := p.TokenWith(p.KeyIDs()[1], claims(nil))
		if err != nil {
			t.Fatal(err)
		}
		mustVerify(t, v, first, prod)
		mustVerify(t, v, second, prod)
		p.Withdraw(p.KeyIDs()[0])
		time.Sleep(4 * time.Minute)
		if !remembers(v, first) {
			t.Error("forgotten before the refresh")
		}
		mustVerify(t, v, second, prod)
		reload(t, v)
		if remembers(v, first) {
			t.Error("remembered without its key")
		}
		if !remembers(v, second) {
			t.Error("forgotten though its key stands")
		}
		wantCode(t, v, first, invalid)
		wantCode(t, v, second, "")
	})
}

// TestNewMaterialUnderTheSameKidEndsRememberedIdentities: a kid is a name, not
// a key.
func TestNewMaterialUnderTheSameKidEndsRememberedIdentities(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, next := provider(t, nil), provider(t, nil)
		if p.KeyIDs()[0] != next.KeyIDs()[0] {
			t.Fatal("the providers' kids differ")
		}
		server := new(replaceable)
		server.set(p)
		v := bubble(t, network{host: server}, trust(prod))
		raw := sign(t, p, nil)
		mustVerify(t, v, raw, prod)
		server.set(next)
		reload(t, v)
		if remembers(v, raw) {
			t.Error("remembered though another key has taken the kid")
		}
		wantCode(t, v, raw, invalid)
		wantCode(t, v, sign(t, next, nil), "")
	})
}

// TestKeyThatComesBackIsNew: what died with a key stays dead.
func TestKeyThatComesBackIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil)
		server := new(replaceable)
		server.set(p)
		v := bubble(t, network{host: server}, trust(prod))
		raw := sign(t, p, nil)
		mustVerify(t, v, raw, prod)
		server.set(provider(t, nil))
		reload(t, v)
		server.set(p)
		reload(t, v)
		if remembers(v, raw) {
			t.Error("remembered through its key's withdrawal")
		}
		wantCode(t, v, raw, "")
	})
}

// reload puts the same issuers in force, which makes the key sets be read, and
// waits until they are. Only inside a bubble.
func reload(t *testing.T, v *identity.Verifier, issuers ...identity.Issuer) {
	t.Helper()
	if len(issuers) == 0 {
		issuers = []identity.Issuer{trust(prod)}
	}
	if err := v.SetIssuers(issuers); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// TestMemoryIsBounded by count and by bytes, and keeps what is in use.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "EdDSA")
	fill := strings.Repeat("x", 3000)
	for name, c := range map[string]struct {
		config identity.Config
		claims map[string]any
		most   int
	}{
		"by count":         {identity.Config{MaxRemembered: 20}, nil, 20},
		"by count, shards": {identity.Config{MaxRemembered: 128}, nil, 128},
		"by bytes":         {identity.Config{MaxRememberedBytes: 1 << 16}, map[string]any{"fill": fill}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.config.Now, c.config.InsecureTransport = noon, network{host: p}
			v := start(t, c.config, trust(prod))
			var tokens []string
			for n := range 300 {
				raw := sign(t, p, claims(map[string]any{"sub": fmt.Sprint("u", n), "fill": c.claims["fill"]}))
				mustVerify(t, v, raw, prod)
				tokens = append(tokens, raw)
				if !remembers(v, raw) {
					t.Fatal("the newest is not remembered")
				}
				if n < 10 && !remembers(v, tokens[0]) {
					t.Fatal("the first is forgotten though it is in use and there is room")
				}
			}
			held := 0
			for _, raw := range tokens {
				if remembers(v, raw) {
					held++
				}
			}
			if held > c.most || held < 10 {
				t.Errorf("%d of 300 are remembered, want 10 to %d", held, c.most)
			}
		})
	}
}

// TestManyVerifyAtOnce is for the race detector: traffic, refreshes, reloads
// and withdrawals together.
func TestManyVerifyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, nil, "EdDSA", "EdDSA")
		v := bubble(t, network{host: p}, trust(prod), trust(staging))
		var tokens []string
		for n := range 20 {
			tokens = append(tokens, sign(t, p, map[string]any{"sub": fmt.Sprint("u", n)}))
		}
		var group sync.WaitGroup
		for n := range 8 {
			group.Go(func() {
				for turn := range 100 {
					raw, environment := tokens[(n+turn)%len(tokens)], []playback.EnvironmentID{prod, staging}[turn%2]
					id, ok := v.Remembered(raw, environment, time.Time{})
					if !ok {
						var err error
						if id, err = verify(v, raw, environment); err != nil {
							t.Errorf("reload or refresh made a viewer fail: %v", err)
							return
						}
					}
					if id.Environment != environment || id.Viewer.ID != fmt.Sprint("u", (n+turn)%len(tokens)) {
						t.Errorf("got identity %v of %s for %s", id.Viewer.ID, id.Environment, environment)
					}
					time.Sleep(time.Second)
				}
			})
		}
		group.Go(func() {
			longer := trust(staging)
			for turn := range 50 {
				longer.MaxLifetime = time.Duration(turn+1) * time.Hour
				if err := v.SetIssuers([]identity.Issuer{trust(prod), longer}); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Second)
			}
		})
		group.Go(func() {
			for range 20 {
				kid, err := p.Add("EdDSA")
				if err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Second)
				p.Withdraw(kid)
				time.Sleep(3 * time.Second)
			}
		})
		group.Wait()
	})
}
