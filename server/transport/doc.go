// Package transport accepts connections and bounds what they may take of the
// process: how many there are, and how many of them one peer has.
//
// It does not own timeouts, which package server keeps, nor anything about HTTP.
//
// Connections and Listeners may be used by any number of goroutines.
//
// An attacker controls when connections come, how many, and what is sent on
// them. They can fill the process up to the limits, which then closes the
// connections that have been idle the longest. They cannot make the process end,
// use up the descriptors that the rest of it needs, or fill the log.
package transport
