// Package demo is the page at /demo/ and the data of `go run . demo`: a
// configuration with two environments, two rule files, the viewers and the
// videos. The page plays from the simulated Mux with tokens of the real
// gateway, which it asks like any front end would: POST /v1/tokens with a
// viewer's JWT.
//
// It owns the page (plain HTML, CSS and JavaScript modules, embedded, no build
// step, nothing from the network but the copy of hls.js 1.7.4 under
// page/vendor), demo.yaml, policies/ and the JSON that the page reads. It does
// not own the gateway, the identity provider or the switching of rules: the
// caller gives those as functions.
//
// # Endpoints
//
//	GET  /demo/                 the page
//	GET  /demo/api/catalogue    viewers and videos
//	GET  /demo/api/session      ?viewer=NAME: a viewer's JWT, {token, viewer, environment, expires_at}
//	GET  /demo/api/policy       the rule files and which is in force
//	POST /demo/api/policy       {"name":"lockdown"} puts another in force
//
// The page accepts ?viewer=…&video=… to preselect, and &autoplay to start.
//
// # What browser tests may rely on
//
//	#viewer #video #policy  selects; values are the names in catalogue and policies
//	#play                   asks for tokens and plays
//	#renew                  asks for tokens now, while playing
//	#autorenew              checkbox: renew at refresh_at (on at first)
//	#player                 the <video>
//	#status                 text; data-state = idle | asking | playing | refused | ending | stopped | error
//	#reason                 the code of a refusal, empty without one; data-by = gateway | mux
//	#message                the refusal in words
//	#renewals               how often tokens were renewed, a number
//	#countdown              seconds until exp; data-exp and data-refresh are Unix seconds, empty for a public ID
//	#cache                  hit, miss or –
//	#rule #key              the rule that granted, the key that signed
//	#tokens [data-type]     one button per token; aria-selected marks the one shown
//	#header #claims         the shown token's header, and a table row per claim: tr[data-claim] with data-value
//	#rendition              the rung that plays, such as 480p
//	#poster #storyboard     pictures fetched with their own tokens; #storyboard holds buttons that seek
//	#tamper #wrong-video #wrong-use #expired  send a bad token to Mux
//	#edge                   Mux's answers, newest first: li[data-status][data-reason]
//	#request #answer        the last call, tokens shortened
//
// A Handler is safe for concurrent use.
//
// If an attacker reaches the page, they are any of the demo's viewers and may
// switch its rules: that is what it is for. Cross-site pages can do neither:
// answers carry no CORS headers, and switching wants JSON. Never mount it on a
// gateway that guards anything.
package demo
