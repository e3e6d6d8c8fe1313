package playback

import "sync/atomic"

// Memo is where a room may keep what it derived from an immutable value, so
// that it derives it once per value and not once per request: the rules keep a
// viewer's claims as CEL values there, what their conditions say of the viewer,
// and what stands behind a playback ID.
// It lives exactly as long as the value, so nothing has to be evicted.
//
// Whoever makes a value that will be asked about more than once (a verified
// identity, a catalogue entry) gives it new(Memo); a nil Memo keeps nothing
// and costs nothing but time. It is safe for concurrent use. What is kept must
// be immutable, and must depend on nothing but the value, or say on what else.
type Memo struct{ kept atomic.Pointer[any] }

// Load returns what was kept, nil if nothing was.
func (m *Memo) Load() any {
	if m == nil {
		return nil
	}
	if p := m.kept.Load(); p != nil {
		return *p
	}
	return nil
}

// Keep keeps v in place of what was kept before.
func (m *Memo) Keep(v any) {
	if m != nil {
		m.kept.Store(&v)
	}
}

// Equal reports true: a memo is no part of the value that carries it, so two
// values that differ only in it compare as equal (go-cmp asks this method).
func (*Memo) Equal(*Memo) bool { return true }
