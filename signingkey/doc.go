// Package signingkey is the operator's hand over an environment's signing keys:
// it makes, imports, activates, retires and deletes them, at Mux and in the key
// store, by order of a person or of a schedule, and says when a key may go.
//
// It owns the order in which a change is made, so that a process may die between
// any two steps of it: a change is noted in the journal of the store before it
// begins, and whoever comes next finishes it or takes it back. It owns the plan
// of the scheduled rotation and the audit record. It does not own what a key's
// life allows (package keystore), how keys are stored (its implementations), how
// Mux is asked (an interface here), who may give orders (package server), nor
// when the plan is looked at (package app).
//
// Concurrency: a Manager and a MemoryLedger may be used from several goroutines,
// and any number of processes may have Managers on one store. Of all of them one
// at a time changes an environment's keys; the others are told that it is busy.
//
// If an attacker controls an order's key ID or reason, they can put 128 letters
// and what the caller let through into the audit record. If they control what
// Mux answers, they can have keys of theirs prepared in the environment, which
// sign once they are activated, and have those deleted at Mux that nobody knows;
// a key that the store has is never deleted but by order. If they control the
// journal, they control the store.
package signingkey
