// Package muxsim is a simulated Mux delivery edge: the stream, image, license
// and stats hosts on one http.Handler, with a small real HLS ladder behind it.
// The demo plays from it, tests ask it whether Mux would accept a URL, and the
// load generator calls Verify without HTTP.
//
// It owns Mux's rules as reference/mux.md states them: path layouts and
// audiences (§1.3, §1.4), parameters as claims (§1.5), token on a public ID
// (§1.6), rendition and segment URLs with signatures of their own (§1.7),
// statuses (§1.8), playback restrictions (§2). It does not own Mux's API or its
// webhooks; those come later.
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
// Mux's guide says of a whole playback.
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
// It is a development tool: never put it in front of media that matters.
package muxsim
