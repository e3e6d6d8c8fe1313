package identity

import "testing"

// TestHashIsNoProof: an identity is found by its token, not by what finds its
// place: two tokens that meet there are told apart, and the newer one stays.
func TestHashIsNoProof(t *testing.T) {
	t.Parallel()
	m := newMemory(100, 1<<20)
	always := &source{}
	always.fresh.Store(1)
	place := m.keyOf("one")
	for _, token := range []string{"one", "two"} {
		m.remember(place, &remembered{identity: &Identity{}, token: token, until: 1000, key: &key{}, source: always})
		for _, asked := range []string{"one", "two", ""} {
			if _, ok := m.recall(place, asked, 1); ok != (asked == token) {
				t.Errorf("with %q in its place, %q is remembered: %t", token, asked, ok)
			}
		}
	}
	if got := m.len(); got != 1 {
		t.Errorf("%d identities are held, want 1", got)
	}
}
