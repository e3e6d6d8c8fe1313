package identity_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
)

// TestWhatWasNotedMovesWithTheClock: the key set is as old as it was, an unknown
// key is looked for as soon as it was due, and no identity is remembered.
func TestWhatWasNotedMovesWithTheClock(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-10 * 365 * 24 * time.Hour, -time.Hour, 25 * time.Hour, 10 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			p := provider(t, nil)
			server := new(replaceable)
			server.set(p)
			var off atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
			v := start(t, identity.Config{InsecureTransport: network{host: server}, Now: now}, trust(prod))
			at := func(claims map[string]any) string { // a token of an issuer whose clock is right
				claims["iat"], claims["exp"] = now().Unix(), now().Add(time.Hour).Unix()
				return sign(t, p, claims)
			}
			before := at(map[string]any{})
			mustVerify(t, v, before, prod)
			wantCode(t, v, unknownKid(t, 1), invalid) // asks for a refresh
			server.set(down())
			off.Store(int64(by))
			v.ClockChanged(by)
			if remembers(v, before) {
				t.Errorf("a change by %s: an identity is remembered", by)
			}
			if by > 0 {
				wantCode(t, v, before, playback.CodeExpiredCredentials)
			}
			wantCode(t, v, at(map[string]any{}), "") // 25 hours have not passed: the key set counts
			time.Sleep(25 * time.Hour)
			wantCode(t, v, at(map[string]any{}), unavailable) // now they have
			server.set(p)
			time.Sleep(time.Minute)
			wantCode(t, v, at(map[string]any{}), "")
		})
	}
}
