// Package peers starts what the gateway is measured against: servers that sign
// Mux playback tokens as people write them by hand, and the floors below any
// server. Each peer is a small program of its own on a free loopback port, with
// the gateway's signing key, path and number of answered bytes:
//
//   - node/: Express with Mux's SDK, and fastify with jose, each with and
//     without an LRU, run by Node's cluster module with a worker per core, as
//     they are deployed.
//   - golang/: net/http with golang-jwt and crypto/rsa, with and without an LRU.
//   - fiber/: bare fiber, which sends the gateway's own headers and body.
//   - nginx, which sends a file of that size, and HAProxy, whose jwt_verify
//     checks a viewer token per request.
//
// What is said to be fair: production settings, no access logs, headers of the
// same kind (Cache-Control, a random X-Request-Id), no ETag, token lifetimes and
// claims like the gateway's. A peer knows no viewers, rules or limits, and its
// requests carry no credential; that is in its favour.
//
// The package sends no load. It checks each peer once, by muxsim's rules, and a
// peer that errs is never measured. A Server is not safe for concurrent use.
//
// Everything listens on loopback with keys made for the run. An attacker on the
// same machine could have tokens signed that nobody accepts.
package peers
