// Package catalog knows what a playback ID is: its policy, the asset or live
// stream behind it, and what is known of those.
//
// It owns the immutable Catalog of one environment, built from the static
// entries of the configuration. It does not decide what an unknown playback ID
// means (issuer does, from catalog.unknown) and talks to nobody. A Catalog
// never changes after New, so any number of goroutines may read it; a reload
// builds another one.
//
// If an attacker controls the arguments of the lookups, they learn whether an
// ID is listed in the one environment that the catalogue belongs to, which is
// what answers depend on; nothing of other environments is in it. Lookups take
// constant time and do not allocate.
package catalog
