// Package server is the HTTP edge: the fiber app, the route table, the
// handlers and the only writer of errors. It turns a request into
// issuer.Request, asks the issuer once, and writes the answer.
//
// It owns the grammar of what clients send (paths, queries, JSON bodies) and
// the shape of what they get. It does not decide who the caller is
// (middleware), what they may watch (policy, behind the issuer) or how a token
// is made. It opens no listener: the app does, and passes it to Serve.
//
// What fasthttp parses has been checked before: bytes that RFC 9112 gives more than
// one reading are refused (framing, checkTarget).
//
// A Server is safe for concurrent use. Each request works on one Snapshot and
// on memory of its own; what is handed to the issuer is copied out of fiber's
// buffers, which are reused as soon as the handler returns.
//
// If an attacker controls the request (they do), they can make the server read
// 16 KiB of headers and 16 KiB of body; the route's limit of body where they are
// admitted, or where only the body shows that its signature is wrong. All that is
// held for them is bounded together (package transport). It is parsed in time linear
// in its size with bounded nesting, and they get one refusal with a fixed text. No
// byte of theirs reaches a Location, a token or a log line unless it passed a
// closed grammar or an encoder. With an access token that has system permissions
// they can make, switch and delete the signing keys of its one environment;
// pages of other origins cannot do that in an operator's name.
package server
