package server

import (
	"fmt"
	"strings"

	"github.com/playgate/playgate/playback"
)

//go:generate go test -run ^TestErrorReferenceIsCurrent$ . -update

// ErrorReference returns docs/errors.md: every code, from the table that the
// answers are made from.
func ErrorReference() string {
	var b strings.Builder
	b.WriteString(`# Errors

<!-- Generated from playback.Codes by "go generate ./server" (part of "make generate"). Do not edit. -->

Every error is Mux's envelope with a stable code and the request ID, which the gateway's log has too:

` + "```json" + `
{"error":{"type":"forbidden","messages":["…"],"code":"not_released","request_id":"…"}}
` + "```" + `

The log's line of a refusal has its ` + "`cause`" + `: what the client is not told, such as the origin that was wanted, the rule
that refused, or the setting of a limit. It never holds a credential.

- Branch on ` + "`code`" + `; messages are for people and may change.
- A 403 whose code is not below carries the ` + "`reason`" + ` of the deny rule that matched.
- 401 says ` + "`WWW-Authenticate: Bearer`" + `, or Basic where only backends may call. 405 has ` + "`Allow`" + `.
- 429 and 503 have ` + "`Retry-After`" + ` in seconds. Where only backends may call it is at most 30.
- The items of a batch that failed are the same objects.
- ` + "`key_in_use`" + ` adds ` + "`deletable_at`" + `, a string of Unix seconds.
- 409 says ` + "`X-Should-Retry: false`" + `, which Mux's SDKs obey.

The first failure answers, in this order: path and method, size of headers and body, the address's rate limit,
credential, environment, cross-site cookie, the caller's rate limit, permission, media type and body, IDs, types and
parameters, playback ID, what needs the catalogue, rules, grants of types and parameters, status of the asset or live
stream, min_ttl, signing key and queue.

| code | status | type | meaning |
|---|---|---|---|
`)
	for _, doc := range append(playback.Codes(), transportCodes()...) {
		fmt.Fprintf(&b, "| `%s` | %d | `%s` | %s |\n", doc.Code, Status(doc.Kind), doc.Kind, doc.Meaning)
	}
	return b.String()
}
