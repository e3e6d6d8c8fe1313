package middleware_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// edge is the limits of requests that name no environment.
type edge struct {
	snapshot *middleware.Snapshot
	limits   *middleware.Limits
	now      time.Time
}

func newEdge(t *testing.T, rate string) *edge {
	t.Helper()
	directory, err := tenant.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := middleware.NewSnapshot(middleware.SnapshotConfig{Directory: directory, UnresolvedRateLimit: rate})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	return &edge{snapshot, middleware.NewLimits(func() time.Time { return now }, nil), now}
}

// refused reports whether a request from the address is refused.
func (e *edge) refused(t *testing.T, addr netip.Addr) bool {
	t.Helper()
	x := &middleware.Exchange{Snapshot: e.snapshot, Client: addr, Started: e.now}
	err := e.limits.Address(x)
	if err != nil && !errors.Is(err, playback.CodeRateLimited) {
		t.Fatal(err)
	}
	return err != nil
}

// within returns an address whose /32 is given, and whose next bytes come from n.
func within(block, n uint32, subnet uint16) netip.Addr {
	var a [16]byte
	binary.BigEndian.PutUint32(a[:], block)
	binary.BigEndian.PutUint32(a[4:], n)
	binary.BigEndian.PutUint16(a[14:], subnet)
	return netip.AddrFrom16(a)
}

// elsewhere returns the address of a household that is not the attacker's.
func elsewhere(n uint32) netip.Addr {
	if n%2 == 0 {
		return netip.AddrFrom4([4]byte{203, byte(n >> 16), byte(n >> 8), byte(n)})
	}
	return within(0x2a000000+n, n, 0)
}

// TestAnAttackerWithASlash32: whatever the owner of a /32 does within it, a
// newcomer elsewhere is served, and nobody's counter begins anew.
func TestAnAttackerWithASlash32(t *testing.T) {
	t.Parallel()
	const block, residents = 0x20010db8, 1000
	for name, target := range map[string]func(i int) netip.Addr{
		"every request from another /64":   func(i int) netip.Addr { return within(block, uint32(i), 0) },
		"every request from another /48":   func(i int) netip.Addr { return within(block, uint32(i)<<16, 0) },
		"two requests from each /64":       func(i int) netip.Addr { return within(block, uint32(i/2), 0) },
		"six requests from each /64":       func(i int) netip.Addr { return within(block, uint32(i/6), uint16(i)) },
		"two requests from each /48":       func(i int) netip.Addr { return within(block, uint32(i/2)<<16, 0) },
		"random":                           func(int) netip.Addr { return within(block, rand.Uint32(), 0) },
		"random within sixteen /48":        func(int) netip.Addr { return within(block, rand.Uint32N(1<<20), 0) },
		"random within one /48":            func(int) netip.Addr { return within(block, rand.Uint32N(1<<16), 0) },
		"some /64 many times, others once": func(i int) netip.Addr { return within(block, uint32(i)*uint32(i%2), 0) },
	} {
		rates, requests := []string{"5-M"}, 72_000 // more than the table holds
		if strings.HasPrefix(name, "two") {
			rates, requests = []string{"5-M", "300-M"}, 140_000
		}
		for _, rate := range rates {
			t.Run(fmt.Sprintf("%s at %s", name, rate), func(t *testing.T) {
				t.Parallel()
				e := newEdge(t, rate)
				limit, _ := middleware.ParseRate(rate)
				for n := range uint32(residents) { // whose limit is used up, and who have one left
					for range limit.Limit - int64(n%2) {
						if e.refused(t, elsewhere(n)) {
							t.Fatalf("resident %d is refused too early", n)
						}
					}
					if limit.Limit > 100 && n > 100 {
						break
					}
				}
				passed := int64(0)
				for i := range requests {
					if !e.refused(t, target(i)) {
						passed++
					}
					if i%30 == 0 && e.refused(t, elsewhere(uint32(residents+i))) {
						t.Fatalf("a newcomer elsewhere is refused after %d requests", i)
					}
				}
				if passed > 1024*limit.Limit {
					t.Errorf("%d requests of the /32 passed, want at most %d", passed, 1024*limit.Limit)
				}
				for n := range uint32(100) {
					if n%2 == 1 && e.refused(t, elsewhere(n)) {
						t.Errorf("resident %d was charged what the attacker did", n)
					}
					if !e.refused(t, elsewhere(n)) {
						t.Errorf("the counter of resident %d began anew", n)
					}
				}
			})
		}
	}
}

// TestNetworksAreCountedAsAWhole: 64 times the limit for a /48, 1,024 times for
// a /32, and what one household is refused is not its neighbours' loss.
func TestNetworksAreCountedAsAWhole(t *testing.T) {
	t.Parallel()
	const block = 0x20010db8
	e := newEdge(t, "5-M")
	for range 100_000 {
		e.refused(t, within(block, 1<<16, 0)) // one household, far above its limit
	}
	passed := 0
	for i := range uint32(1000) {
		if !e.refused(t, within(block, 1<<16+i, 0)) {
			passed++
		}
	}
	if want := 64*5 - 5; passed != want { // its neighbours have what it could not use
		t.Errorf("%d requests of a /48 passed, want %d", passed, want)
	}
	if e.refused(t, within(block, 2<<16, 0)) {
		t.Error("another /48 is refused")
	}
	passed = 0
	for site := range uint32(200) {
		for i := range uint32(64) {
			if !e.refused(t, within(block, (3+site)<<16+i, 0)) {
				passed++
			}
		}
	}
	if want := 1024*5 - 64*5 - 1; passed != want {
		t.Errorf("%d more requests of the /32 passed, want %d", passed, want)
	}
	if e.refused(t, within(block+1, 0, 0)) {
		t.Error("the next /32 is refused")
	}
}
