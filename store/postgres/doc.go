// Package postgres keeps the durable records in PostgreSQL, for many replicas.
//
// It owns the connection pool and the migration of the schema, which replicas
// that start together do one after the other. The schema and the statements are
// package sqldb's. Connections carry application_name=playgate, and a statement
// that takes longer than five seconds is ended by the server.
//
// A store is safe for concurrent use. A connection that broke is replaced by
// the next call that needs one; what was asked on it fails.
//
// If an attacker controls the database, they can grant themselves everything.
package postgres
