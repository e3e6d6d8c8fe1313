package muxsim

import "encoding/json"

// VerifySignature runs the signature layer alone: what lies in the payload does
// not matter. The key is the one JWK of a set.
func VerifySignature(jwk json.RawMessage, compact string) bool {
	body, err := json.Marshal(map[string][]json.RawMessage{"keys": {jwk}})
	if err != nil {
		return false
	}
	keys, err := parseKeySet(body)
	if err != nil {
		return false
	}
	_, t, why := parseSigned(compact)
	if why != nil {
		return false
	}
	for _, key := range keys {
		return t.verifiedBy(key)
	}
	return false
}

// Reasons lists every reason.
func Reasons() []Reason { return reasons() }
