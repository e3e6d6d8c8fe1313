package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

const (
	pseudonymFunction = "pseudonym"
	pseudonymOverload = "pseudonym_string"
	pseudonymBytes    = 16 // 128 bits: no two viewers meet by chance
	pseudonymLength   = 22 // characters of base64url without padding
)

// pseudonyms is the keyed hash behind pseudonym(): the first 128 bits of
// HMAC-SHA-256 with the environment's key over "playgate pseudonym", the
// environment's ID and the text, separated by zero bytes (none of the first two
// contains one), as 22 characters of base64url. Whoever has the key can tell
// whose pseudonym it is by trying; nobody else can, and the pseudonyms of two
// environments have nothing in common even under one key.
type pseudonyms struct {
	key    []byte
	domain []byte
}

func newPseudonyms(key playback.Secret, env playback.EnvironmentID) *pseudonyms {
	if key.Reveal() == "" {
		return nil
	}
	return &pseudonyms{[]byte(key.Reveal()), []byte("playgate pseudonym\x00" + string(env) + "\x00")}
}

func (p *pseudonyms) of(text string) string {
	mac := hmac.New(sha256.New, p.key)
	mac.Write(p.domain)
	mac.Write([]byte(text))
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(mac.Sum(sum[:0])[:pseudonymBytes])
}

// function declares pseudonym() to CEL. Without a key it is declared too, so
// that the problem that is reported is the missing key.
func (p *pseudonyms) function() cel.EnvOption {
	return cel.Function(pseudonymFunction, cel.Overload(pseudonymOverload, []*cel.Type{cel.StringType}, cel.StringType,
		cel.UnaryBinding(func(v ref.Val) ref.Val {
			text, ok := v.(types.String)
			if !ok || p == nil {
				return types.NewErr("pseudonym() has no key")
			}
			return types.String(p.of(string(text)))
		})))
}
