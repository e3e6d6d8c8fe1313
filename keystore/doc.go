// Package keystore owns what the gateway signs with: signing keys, how they are
// read from whatever an operator has (PEM, base64 of PEM), their life (prepared,
// active, retired), and the immutable snapshot of every environment's keys that
// a Watcher keeps up to date beside the request path.
//
// It does not sign and does not decide whether a key is fit to sign beyond its
// material (package signer checks each new key by using it) nor when a key is
// changed (package signingkey), and it publishes nothing. Where keys come from is
// a Source, where they can be changed a Keeper: packages memory, file and vault,
// each of which passes keystoretest.
//
// Concurrency: Keyset, Snapshot and every *Key in them are immutable and may be
// shared freely. A Watcher may be used from any goroutine; reading its Snapshot
// is one atomic load and never waits for a Source.
//
// If an attacker controls the bytes of one key or state document, they can have
// that key refused, or bring a key of their own into the one environment that
// the document belongs to; they cannot reach another environment, make Parse do
// unbounded work, or have key material written into an error. If an attacker
// controls the whole Source, they own the environment's signatures. If they can
// only make the Source unavailable, the last good keys go on signing.
//
// Go's runtime may copy memory, so key material is not wiped after use.
package keystore
