// Package tokencache remembers signed tokens by everything that decides their
// bytes, so that all who may have the same token share one signature. It owns
// the cache key, the sharded LRU with its bounds and its own expiry, one
// flight per key (concurrent misses share one signature), and what is signed
// before it is asked for: refresh-ahead, the next token of one in use; and its
// twin, the same token under the key that follows, while a rotation is prepared.
// Both keep to a quarter of the cores' time.
//
// It decides nothing: policy is evaluated on every request, and a request
// only gets a token by presenting claims that it was granted. A revoked
// entitlement or a withdrawn key never comes out of the cache, because nobody
// presents its claims any more; nor does a twin before its key is active. So
// nothing is ever invalidated; what was signed under a key that is gone is
// swept out for its room alone.
//
// Concurrency: a Cache may be used by any number of goroutines. A hit takes
// one shard's lock for a map look-up and never waits for a signature: no lock
// is held while anything is signed. Lock order: shard.mu, then one of
// schedule.mu, twins.mu and seals.mu.
//
// If an attacker controls the claims of their own requests, they fill the
// cache up to its bounds and push others' tokens out, which costs signatures,
// not secrets: the key is a SHA-256 over every field with its length, so no two
// different claims share an entry. TestEveryFieldOfClaimsChangesTheKey holds
// that for fields still to come.
package tokencache
