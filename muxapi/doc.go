// Package muxapi is a client of Mux's REST API, as far as the gateway needs it:
// signing keys, assets, live streams and playback IDs, and who an access token
// is.
//
// It owns how Mux is asked: Basic authentication, the pace that Mux allows, what
// is asked again and what must not be, and errors that carry what Mux said. It
// does not own what the answers mean: a key's life is that of package
// signingkey, its material that of package keystore. What an asset says is for
// package catalog.
//
// The clients of one account divide its pace (Account).
//
// A Client is safe for concurrent use and starts no goroutine of its own; its
// callers wait for their turn, and for as long as their context lasts.
//
// If an attacker controls the answers, they can make a request take as long as
// its context, make the client read 8 MiB per answer, and put at most 512
// printable bytes of each message into an error. They learn the access token
// that they were sent; it never goes to another host, because redirects are not
// followed.
package muxapi
