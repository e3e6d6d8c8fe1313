// Package memory is the keystore.Keeper of the demo and of tests: it makes one
// RSA key per environment, on first use, and keeps it and those that are added
// until the process ends.
//
// It reads and writes nothing outside the process, so a restart loses all keys,
// and no other replica has them. Mux does not know the keys that it makes: only
// muxsim and verifiers that fetch the gateway's JWKS accept what they sign. A
// Source may be used from several goroutines.
//
// An attacker who can add keys, through whoever calls, can fill the memory;
// environments come from the configuration.
package memory
