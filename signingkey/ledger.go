package signingkey

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/playback"
)

// MemoryLedger is the Ledger of one process: the latest exp that it has handed
// out under each key since it started. It is never forgotten, not even with the
// key: there are as many entries as keys have signed in the process's life.
type MemoryLedger struct {
	complete bool
	mu       sync.Mutex // guards changes of the map
	latest   atomic.Pointer[map[ledgerKey]*atomic.Int64]
}

type ledgerKey struct {
	env playback.EnvironmentID
	key playback.KeyID
}

// NewMemoryLedger returns a ledger without entries. complete: no other process
// has the keys, nor had them before.
func NewMemoryLedger(complete bool) *MemoryLedger {
	l := &MemoryLedger{complete: complete}
	l.latest.Store(&map[ledgerKey]*atomic.Int64{})
	return l
}

// HandedOut notes that a token was handed out: exp in Unix seconds. It takes no
// lock but for a key's first token.
func (l *MemoryLedger) HandedOut(env playback.EnvironmentID, key playback.KeyID, exp int64) {
	latest := (*l.latest.Load())[ledgerKey{env, key}]
	if latest == nil {
		latest = l.add(ledgerKey{env, key})
	}
	for {
		last := latest.Load()
		if exp <= last || latest.CompareAndSwap(last, exp) {
			return
		}
	}
}

// add returns the entry of a key, made if need be.
func (l *MemoryLedger) add(key ledgerKey) *atomic.Int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := *l.latest.Load()
	if latest := known[key]; latest != nil {
		return latest
	}
	next := maps.Clone(known)
	latest := new(atomic.Int64)
	next[key] = latest
	l.latest.Store(&next)
	return latest
}

// Each calls yield with the latest exp of every key, in Unix seconds, until it
// returns false.
func (l *MemoryLedger) Each(yield func(playback.EnvironmentID, playback.KeyID, int64) bool) {
	for key, latest := range *l.latest.Load() {
		if !yield(key.env, key.key, latest.Load()) {
			return
		}
	}
}

// LastExpiry implements Ledger.
func (l *MemoryLedger) LastExpiry(env playback.EnvironmentID, key playback.KeyID) (time.Time, bool) {
	latest := (*l.latest.Load())[ledgerKey{env, key}]
	if latest == nil {
		return time.Time{}, l.complete
	}
	return time.Unix(latest.Load(), 0).UTC(), l.complete
}
