// Package issuer is the pipeline of the gateway on one screen: Issue resolves
// what a playback ID is, asks the rules, checks what they grant, plans the
// lifetime, and gets one token per type from the cache or the signer.
//
// It knows nothing of HTTP, YAML, JWT encoding or storage: every stage is an
// interface of one or two methods declared here and built elsewhere. An Issuer
// is safe for concurrent use; an Environment is an immutable snapshot that one
// request uses from beginning to end.
//
// If an attacker controls a Request (and they do: playback ID, types,
// parameters, min_ttl, session), they can only ever get what a rule of the
// environment they were authenticated for grants to the viewer they were
// authenticated as. Caller, Viewer, Client and Backend are the edge's word and
// must never come from unverified input.
package issuer
