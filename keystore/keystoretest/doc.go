// Package keystoretest holds the conformance suite that every keystore.Source
// passes, and RSA keys for tests.
//
// It is for tests only. The keys are published with the source, so whoever sees
// a token signed by one knows that it proves nothing.
package keystoretest
