// Package memory is the keystore.Source of the demo and of tests: it makes one
// RSA key per environment, on first use, and keeps it until the process ends.
//
// It reads and writes nothing. Mux does not know its keys, so only muxsim and
// verifiers that fetch the gateway's JWKS accept what they sign. A Source may
// be used from several goroutines.
//
// An attacker has no input here: environments come from the configuration.
package memory
