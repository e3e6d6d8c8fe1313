// Package transport accepts connections and bounds what they may take of the
// process: how many there are, how many of them one peer has, and how many bytes
// they and their requests hold.
//
// It does not own timeouts, which package server keeps, nor anything about HTTP.
//
// Connections and Listeners may be used by any number of goroutines.
//
// An attacker controls when connections come, how many, and what is sent on
// them. They can fill the process up to the limits, which then closes the
// connections whose clients have been waited for the longest. They cannot make
// the process end, use up the descriptors or the memory that the rest of it
// needs, or fill the log.
package transport
