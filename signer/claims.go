package signer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/playgate/playgate/playback"
)

// Claims reads the claims of a token that the pool signed, so that nobody has
// to keep them beside it. Environment, Key, Thumbprint and Kid are left empty:
// they are the caller's to know. Nothing is verified; only what Encode can have
// written is understood.
func (*Pool) Claims(token playback.Token) (playback.Claims, error) {
	_, rest, _ := strings.Cut(token.Reveal(), ".")
	encoded, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return playback.Claims{}, errors.New("reading claims: the payload is not base64url")
	}
	all, err := members(payload)
	if err != nil {
		return playback.Claims{}, fmt.Errorf("reading claims: the payload %w", err)
	}
	var c playback.Claims
	for _, claim := range all {
		if err := readClaim(&c, claim); err != nil {
			return playback.Claims{}, fmt.Errorf("reading claims: %s: %w", claim.Name, err)
		}
	}
	return c, nil
}

func readClaim(c *playback.Claims, claim Claim) error {
	switch claim.Name {
	case "kid":
		return nil
	case "sub":
		return json.Unmarshal(claim.Value, &c.Sub)
	case "aud":
		return json.Unmarshal(claim.Value, &c.Aud)
	case "exp":
		return json.Unmarshal(claim.Value, &c.Exp)
	case "playback_restriction_id":
		return json.Unmarshal(claim.Value, &c.Restriction)
	case "custom":
		c.Custom = string(claim.Value)
	default:
		c.Params = append(c.Params, playback.Param{Name: claim.Name, JSON: string(claim.Value)})
	}
	return nil
}
