// Package identity owns WHO: it turns a viewer token (a JWT of a configured
// issuer) into a verified [Identity], remembers what it verified, and keeps
// the issuers' key sets fresh.
//
// It does not decide which environment a request belongs to (middleware does,
// from iss, aud and Host), what the viewer may watch (policy), or whether an
// access token is right (tenant). It never signs and never stores.
//
// # Promises
//
// A token is accepted only as a compact JWS of at most 16 KiB in strict
// base64url, with an algorithm that is pinned for the issuer and fits the key,
// none of the headers that could smuggle a key or a rule in (jku, x5u, jwk,
// x5c, crit), no member given twice, exp, iss, a recipient of the issuer's and a
// sub of 1 to 255 characters (contract §3). The recipient is one of aud; in a
// token without aud it is client_id or azp. Clocks may differ by 30 seconds for
// exp and nbf, and by the issuer's leeway for iat; exp − (iat or now) ≤
// max_lifetime is exact. "expired_credentials" is said only of a token that the
// issuer really signed.
//
// A verified identity is remembered with its token, and found by that token
// alone, byte by byte, until exp without the 30 seconds of leeway (the last
// moments are verified anew), for at most five minutes, while its key is in
// the issuer's key set, the set is usable, and the list of issuers is the one
// it was verified under. A token whose iss and recipients fit several environments is
// remembered per environment, so what was accepted in one is never handed out
// in another.
//
// Key sets are read over https (plain http only from a loopback address),
// never from link-local, multicast or unspecified addresses (checked on the
// resolved address when dialling), never through a redirect or a proxy, at
// most 1 MiB, compressed or not; or from a file, which is looked at every two
// seconds. A failure keeps the last good keys for 24 hours; after that, and
// before the first success, the answer is 503 issuer_unavailable. An unknown kid
// asks for one refresh per 30 seconds and key set, and the requests that met it
// wait for it for at most two seconds. Retry-After is obeyed up to the ordinary
// interval of five minutes, then by unknown kids as well.
//
// # Concurrency
//
// All methods of [Verifier] are safe for concurrent use. The request path
// reads immutable snapshots (the roster of issuers, one key set per source)
// behind atomic pointers; the remembered identities are sharded. Each source
// of keys has one goroutine, owned by the Verifier, which waits for it in
// Stop. Lock order: Verifier.mu, then source.mu; a shard's lock is a leaf. No
// lock is held during I/O.
//
// # If an attacker controls the input
//
// A token: they can make us decode at most 16 KiB of JSON of bounded depth,
// try at most five signatures per key set we look at (three, when it is
// refreshed meanwhile), and cause one key set refresh per 30 seconds;
// at most 256 requests per key set wait for it. They cannot choose key,
// algorithm or URL, and nothing unverified is remembered.
//
// A key set (the issuer's server, or its network): they are the issuer and can
// name any viewer of its environments, for its recipients and in its algorithms,
// but reach no other issuer, make us call no other address and hold at most
// 1 MiB of memory.
package identity
