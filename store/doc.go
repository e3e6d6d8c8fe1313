// Package store is the vocabulary of the durable records: what the catalogue
// learned of Mux's objects, the webhooks that were taken, the jobs that are still
// to be done (the outbox), what viewers hold, and the latest end of the tokens
// that each signing key signed.
//
// It owns the types and one small interface per consumer; the drivers are in
// memory, sqlite and postgres, and storetest holds all of them to the same
// behaviour. It does not own what a record means: that is for the catalogue,
// the outbox, the grants and the keys.
//
// Every driver is safe for concurrent use, and its writes are atomic: a record
// is there whole, for every replica that shares the store, or not at all. An
// error that is not ErrNotFound means that the store could not be asked, and
// that nothing is known.
//
// A store may go back to an earlier state under who uses it, by a restore or a
// failover: History tells. ErrNotWritable says that a write would be lost, and
// ErrSchema that the schema is not this program's.
//
// If an attacker controls the arguments, they can fill the disk: whoever calls
// bounds sizes and counts. Every value is a bound parameter, never part of a
// statement.
package store
