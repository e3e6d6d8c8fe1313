// Package e2e tests the real binary from outside, with the real things around
// it: Vault, Mux's SDK and player, jose, a browser. It holds tests only.
//
// The tests start and stop everything themselves, on free loopback ports. What
// they need is installed by `make test`; where it is missing they fail in CI
// and skip, saying so, elsewhere.
package e2e
