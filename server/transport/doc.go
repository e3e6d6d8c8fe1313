// Package transport accepts connections and bounds what they may take of the
// process: how many there are, how many of them one peer has, and how many bytes
// of unread requests are in memory.
//
// It does not own timeouts, which package server keeps, nor anything about HTTP.
//
// A Listener and a Budget may be used by any number of goroutines.
//
// An attacker controls when connections come, how many, and what is sent on
// them. They can fill the process up to the limits, which then closes the
// connections that have been idle the longest. They cannot make the process end,
// use up the descriptors that the rest of it needs, or fill the log.
package transport
