// Package sqldb keeps the durable records in a relational database: what the
// drivers sqlite and postgres have in common, which is all but opening it.
//
// It owns the schema (migrations, embedded) and the statements, which both
// databases understand alike. Every write is one statement or one transaction;
// a statement that decides ("unless a later one is there") does so in the
// database, so that replicas cannot race.
//
// A DB is safe for concurrent use. Writes of catalogue objects wait for each
// other; nothing else does.
//
// If an attacker controls the arguments, see package store: all values are
// bound.
package sqldb
