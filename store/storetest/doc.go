// Package storetest holds every driver of package store to one behaviour: Run
// is its conformance suite. It also starts a real PostgreSQL for tests
// (Postgres).
//
// It is used by tests alone. The suite makes its own environments in the store
// that it gets, so several may run on one.
package storetest
