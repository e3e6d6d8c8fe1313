// Package grant knows what viewers hold: subscriptions, purchases, rentals and
// tickets, each for one thing or for all, each from some time until another.
//
// It owns the grammar of a grant, which of a viewer's grants are in force for a
// playback ID, and the moment at which a rental's own time begins. It does not
// store them (store does), decide by them (the rules do) or end tokens by them
// (the issuer does). It keeps nothing between two requests: a grant that is
// deleted is gone for the next one, on every replica.
//
// A Holder is safe for concurrent use. Where the store does not answer, the
// answer is an error, never a guess.
//
// If an attacker controls the viewer's ID or the playback ID, they are the
// verified identity and a validated ID: they find their own grants. Grants are
// written by backends with video:write only; what they write is bounded, and
// ends up in rules as data, never as a condition.
package grant
