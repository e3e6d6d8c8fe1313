package world

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// Issuer is the identity provider that the gateway trusts.
type Issuer struct{ key *rsa.PrivateKey }

// NewIssuer makes an identity provider with an RSA key of 2048 bits.
func NewIssuer() (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the identity provider's key: %w", err)
	}
	return &Issuer{key}, nil
}

// Public returns the key that the provider's tokens are verified with.
func (i *Issuer) Public() *rsa.PublicKey { return &i.key.PublicKey }

// Viewer makes the RS256 token of a premium viewer, of ordinary size, valid for
// an hour.
func (i *Issuer) Viewer(id string) (string, error) {
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://idp.bench.example", "aud": "playgate", "sub": id, "plan": "premium", "iat": now, "exp": now + 3600,
		"email_verified": true, "groups": []string{"subscribers", "beta"}, "locale": "de-DE",
	})
	if err != nil {
		return "", fmt.Errorf("writing viewer claims: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT","kid":"idp"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing a viewer token: %w", err)
	}
	return signed + "." + encode(signature), nil
}

// Viewers makes the tokens of n viewers, user-1 to user-n, on all cores: some
// 2,500 a second on two.
func (i *Issuer) Viewers(n int) ([]string, error) {
	tokens := make([]string, n)
	workers := runtime.NumCPU()
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for v := w; v < n && errs[w] == nil; v += workers {
				tokens[v], errs[w] = i.Viewer("user-" + strconv.Itoa(v+1))
			}
		})
	}
	all.Wait()
	return tokens, errors.Join(errs...)
}
