// Package catalog knows what a playback ID is: its policy, the asset or live
// stream behind it, and what is known of those.
//
// It owns the immutable Catalog of the configuration's entries; the Library of
// what Mux said, which follows the store, with a Live for each environment and a
// View that lays entries over it; what a webhook of Mux means (VerifySignature,
// Inbox); and how Mux's API is asked for the rest (Syncer, Finder). It does not
// own what an unknown playback ID means where Mux is not asked (issuer does, from
// catalog.unknown), how Mux is reached (muxapi), or how records are kept (store).
//
// Everything is safe for concurrent use. The objects that lookups return never
// change; a change makes new ones. Lookups take no lock that others hold for
// long: what changes is copied in small pieces and swapped. Whatever changes a
// Live comes out of the store, in its order, so replicas agree and nothing
// overtakes. A store that goes back to an earlier state is merged with what is
// known, and gets it back. What a webhook leaves to be done is a job in the store's outbox, noted
// with the webhook; whoever has the outbox calls Syncer.Do. Syncer.Run and
// Library.Run are the only goroutines, beside one per look-up, of which an
// environment has at most 256.
//
// If an attacker controls the arguments of the lookups, they learn whether an ID
// is listed in the one environment that the catalogue belongs to, which is what
// answers depend on; nothing of other environments is in it. If they are
// authenticated where unknown IDs are looked up, they can have Mux asked for ten
// IDs that do not exist, and for one more every 30 seconds, each of which another
// caller waits for at most once; and they delay no one who asks for what is known.
// If they control webhooks but no secret, they cost one HMAC per secret
// over at most 1 MiB each. With a secret they can say anything of the
// environment's assets, and fill the store.
package catalog
