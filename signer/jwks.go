package signer

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// publish writes a key set as RFC 7517 §5 and RFC 7518 §6.3.1 have it, in the
// order of the key IDs, and its entity tag.
func publish(keys []*keystore.Key) (body []byte, etag string) {
	body = append(body, `{"keys":[`...)
	for i, key := range keys {
		if i > 0 {
			body = append(body, ',')
		}
		public := key.Public()
		body = appendString(append(body, `{"kty":"RSA","use":"sig","alg":"RS256","kid":`...), string(key.ID))
		body = base64.RawURLEncoding.AppendEncode(append(body, `,"n":"`...), public.N.Bytes())
		body = base64.RawURLEncoding.AppendEncode(append(body, `","e":"`...), big.NewInt(int64(public.E)).Bytes())
		body = append(body, `"}`...)
	}
	body = append(body, `]}`...)
	sum := sha256.Sum256(body)
	return body, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// ParseJWKS reads a published key set: what a verifier other than Mux does
// with the document of Ring.JWKS. Keys that are not RSA signing keys are
// skipped; two keys under one ID are an error.
func ParseJWKS(document []byte) (PublicKeys, error) {
	set, err := jwk.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("reading key set: %w", err)
	}
	keys := make(PublicKeys, set.Len())
	for i := range set.Len() {
		key, _ := set.Key(i)
		id := playback.KeyID(key.KeyID())
		public, ok := key.(jwk.RSAPublicKey)
		if use := key.KeyUsage(); !ok || id == "" || use != "" && use != string(jwk.ForSignature) {
			continue
		}
		if _, twice := keys[id]; twice {
			return nil, fmt.Errorf("reading key set: two keys are named %q", id)
		}
		raw := new(rsa.PublicKey)
		if err := public.Raw(raw); err != nil {
			return nil, fmt.Errorf("reading key %q: %w", id, err)
		}
		keys[id] = raw
	}
	return keys, nil
}
