// Package tenant knows who owns what: organizations, their environments, the
// hosts and issuers that lead to an environment, and the access tokens of
// backends with their permissions.
//
// It owns the immutable Directory, host normalization and the check of an
// access token's secret. It does not read configuration (configs does), verify
// viewer tokens (identity does) or choose the environment of a request from
// several hints (middleware does). A Directory never changes after New, so any
// number of goroutines may read it; a reload builds another one.
//
// If an attacker controls the arguments of the lookups, they can learn whether
// a Host or an issuer is served, which any answer tells them anyway. They
// cannot learn from the time of Authenticate whether an access token exists:
// unknown IDs cost one hash and one comparison, as known ones do, and only
// the hash of a secret is kept.
package tenant
