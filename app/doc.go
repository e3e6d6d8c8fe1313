// Package app builds the gateway from a configuration and gives it a life:
// New wires and binds, Start serves, Reload swaps, Stop drains. It is the only
// room that knows all others.
//
// It holds no logic of its own about viewers, rules, keys or tokens. Everything
// that requests read lives in one immutable snapshot behind an atomic pointer;
// Reload does all fallible work first and then swaps once, so a bad file leaves
// the old state fully in force. Every goroutine is started by Start and waited
// for by Stop.
//
// If an attacker controls the configuration file or the files it names, they
// control the gateway; app therefore never fetches configuration from anywhere
// but those files. The admin listener is unauthenticated and must not be
// reachable by strangers: its default address is loopback.
package app
