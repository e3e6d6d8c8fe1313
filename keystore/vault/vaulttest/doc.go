// Package vaulttest runs the real Vault for tests: tools/vault/build.sh builds
// it from HashiCorp's published module. A server listens on a free port of the
// loopback interface, and ends with its test (on Linux also if the test process
// is killed).
//
// It is for tests only and owns no product code. A Server may be used from
// several goroutines, except for Kill, Restart, Seal and Unseal.
//
// An attacker on the same machine could reach a server while its test runs, and
// would find keys that were made for it.
package vaulttest
