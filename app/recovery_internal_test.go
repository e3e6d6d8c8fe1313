package app

import (
	"testing"
	"time"

	"github.com/playgate/playgate/configs"
)

// TestOnlyWhoChangesKeysLooksAfterThem: a gateway that may only read keys does not
// ask for the journal, which its key store would refuse.
func TestOnlyWhoChangesKeysLooksAfterThem(t *testing.T) {
	t.Parallel()
	token := func(permissions ...string) configs.AccessToken { return configs.AccessToken{Permissions: permissions} }
	for name, c := range map[string]struct {
		change func(*configs.Environment)
		want   bool
	}{
		"reads": {func(e *configs.Environment) {
			e.AccessTokens = []configs.AccessToken{token("system:read", "video:write")}
		}, false},
		"rotates": {func(e *configs.Environment) { e.Keys.RotateEvery = time.Hour }, true},
		"deletes": {func(e *configs.Environment) { e.Keys.RetireAfter = time.Hour }, true},
		"is told to": {func(e *configs.Environment) {
			e.AccessTokens = []configs.AccessToken{token("video:read"), token("system:write")}
		}, true},
	} {
		e := &configs.Environment{}
		c.change(e)
		if got := changesKeys(e); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
