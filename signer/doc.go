// Package signer makes compact RS256 tokens out of playback.Claims, in the
// exact shape of Mux's Node SDK 14. It owns the encoding, the three backends
// that compute RSA signatures (crypto/rsa, OpenSSL's libcrypto where it can be
// loaded at run time, and package multibuffer where the processor can, which
// makes eight at a time), the lane of keys that sign elsewhere (in Vault's
// transit engine; see keystore.Signer), the Ring of keys that may sign now, the
// Pool in which signatures wait their turn, the published key sets (JWKS), and
// the verifier of what it made.
//
// It does not decide who may have a token or for how long, does not remember
// tokens (package tokencache does) and does not read keys (package keystore
// does). It never logs a token or a key.
//
// Concurrency: a Ring's readers load an environment's immutable state and never
// wait. Set may run beside them; a key that it takes away signs nothing that a
// worker had not begun, and a prepared one signs nothing that a request asks
// for. A Pool's workers are goroutines of its own. What computes has a thread of
// low priority: with crypto/rsa the worker's own, with libcrypto one of C's,
// which never runs Go and computes lanes, too. The workers of the lane for keys elsewhere mostly wait,
// and run at the usual priority. Stop waits for all of them. Each of the two
// queues has one lock, which is never held while something is signed or waited
// for.
//
// If an attacker controls the claims, they control what a token says, so the
// encoder refuses whatever could add a member to the payload; but who may say
// what is decided before. If they can ask for many signatures, they fill their
// share of the queue, an eighth, and no more under one caller's name. If they
// control a token given to Decode or Verify, they can have it refused. If they
// control the libcrypto that the program loads, they own the process. If they
// control whoever signs elsewhere, they can withhold signatures; one that does
// not verify is dropped.
package signer
