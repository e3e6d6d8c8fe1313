// Package identitytest is a small identity provider: it makes keys, publishes
// them as a JSON Web Key Set and signs viewer tokens. Tests of every room and
// the demo use it in place of a real one.
//
// It does not check anything: whoever holds a Provider may sign whatever it
// likes, well-formed or not, and that is the point. It has no login, no
// discovery document and no storage; its keys die with the process.
//
// A Provider is safe for concurrent use.
//
// If an attacker reaches the handler of a Provider, they learn public keys. If
// they reach Token or Sign, they are any viewer of whoever trusts the
// provider, so neither is ever exposed by it.
package identitytest
