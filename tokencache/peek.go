package tokencache

import "github.com/playgate/playgate/playback"

// Holds reports whether the token of the claims is remembered. The token does
// not become used by that, and nothing is signed.
func (c *Cache) Holds(claims *playback.Claims) bool { return c.held(KeyOf(claims)) != nil }
