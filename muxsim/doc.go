// Package muxsim is a simulated Mux: the stream, image, license and stats hosts
// of its delivery edge on one http.Handler, with a small real HLS ladder behind
// them, and of its API what manages signing keys: a key that is created there is
// what the edge verifies with, and one that is deleted opens nothing.
//
// The demo plays from it, tests ask it whether Mux would accept a URL, and the
// load generator calls Verify without HTTP.
//
// It owns Mux's rules as docs/mux.md states them: path layouts and
// audiences (§1.3, §1.4), parameters as claims (§1.5), token on a public ID
// (§1.6), rendition and segment URLs with signatures of their own (§1.7),
// statuses (§1.8), playback restrictions (§2), and the API's signing keys and
// whoami (§3, §4), with faults on demand. It does not own the rest of Mux's API
// nor its webhooks; those come later.
//
// It is the oracle for what the gateway signs, so it shares no code with the
// gateway, not even identifier types: the RS256 check is written here with
// crypto/rsa and encoding/json, and the table of parameters is its own. A
// mistake has to be made twice, in the same way, to go unseen.
//
// Where mux.md says UNVERIFIED, the simulator picks the stricter reading, and
// says so beside the code: no leeway on exp, nbf enforced, an unknown
// restriction denies, kid in header and claim must agree, repeated members of a
// token's JSON are refused. Two readings are generous because official code
// depends on them: strings that spell a number or boolean are taken as claims
// (Mux's CLI signs them so), and claims that Mux does not know are ignored. A
// rendition URL expires with the token that opened the manifest, which is what
// Mux's guide says of a whole playback. In the API, an access token without the
// System permission gets the 401 that users of Mux report, and lists have 25
// items unless they are asked for up to 100, the newest first.
//
// Simplifications: the media of a DRM playback ID is not encrypted, and its
// licences are fixed bytes; thumbnails and animations ignore size, rotation and
// range once these are validated; live streams loop a clip on a real sliding
// window; static files ignore clip bounds, as at Mux.
//
// A Sim is safe for concurrent use. It starts no goroutine; a key set is
// fetched by the request that needs it, at most once a second.
//
// If an attacker controls the requests, they can make it spend one RSA
// verification per request, and fetch the configured JWKS URL once a second.
// With an access token they can make it create keys, without a bound.
// It is a development tool: never put it in front of media that matters.
package muxsim
