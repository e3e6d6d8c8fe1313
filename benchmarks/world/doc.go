// Package world makes what a measurement happens in: the gateway's binary, built
// from the checkout, its files (signing keys, an identity provider's key set, a
// configuration with everything on), the running process, and what can be read
// from outside of it: /metrics, CPU time and memory from /proc.
//
// "Everything on" means: an RS256 viewer token per request, four rules, viewer
// and IP limits, metrics, and the access log sampled at 1/100.
//
// It sends no load and judges no figure. A Gateway's methods may be called from
// several goroutines, except Stop.
//
// Everything listens on loopback, and the keys are made for the run. An attacker
// on the same machine could ask for tokens that nobody accepts.
package world
