// Package yamldoc reads the documents that people write, configurations and
// rules, into the nodes of the YAML library.
//
// It owns what both kinds share beyond the library: a text holds one document,
// may declare YAML 1.2, and may have keys of its own that begin with "x-". It
// does not know what else a document may hold: configs and policy decode the
// nodes strictly, each by its own schema, and bound depth and aliases.
//
// It has no state and may be used concurrently. If an attacker controls the
// text, they can make it allocate memory in proportion to the text.
package yamldoc
