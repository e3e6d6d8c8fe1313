// Package policy decides whether a viewer may have a token: MAY THEY. It
// compiles a YAML document of rules with CEL conditions into an immutable
// *Policy, and answers a playback.Question with a playback.Decision: deny
// rules first, then the first allow rule that matches, else no.
//
// It owns the rule language (docs/rules.md), its limits, the `tests:` section,
// the warnings of `playgate policy check`, explanations of answers, comparisons
// of documents and shadows. The files that a document names it reads through the
// function that it is given. It does not know about HTTP, sign, cache or store
// anything, and it reads no clock: now is part of the question.
//
// A *Policy is safe for concurrent use and never changes. A new document makes
// a new *Policy; whoever holds the old one keeps it in force until the new one
// compiled.
//
// If an attacker controls a question's input (claims, headers, parameters) they
// can make a rule fail to evaluate: a deny rule then denies and an allow rule
// does not match, so the worst they get is a refusal, at a bounded cost. If an
// attacker controls the document they decide who watches what, and nothing
// else: rules have no side effects, no clock, no network, and a bounded cost.
package policy
