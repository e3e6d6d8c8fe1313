package identitytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// lifetime is how long tokens live that do not say otherwise.
const lifetime = time.Hour

// Config configures a Provider.
type Config struct {
	Issuer     string           // iss of the tokens
	Algorithms []string         // one key each, the first is used by Token; none: ES256
	Now        func() time.Time // nil: time.Now
}

// Provider is an identity provider. Make one with New.
type Provider struct {
	issuer string
	now    func() time.Time

	mu    sync.RWMutex
	keys  []signingKey // guarded by mu
	count int          // guarded by mu: keys ever made, for their IDs
}

type signingKey struct {
	kid, algorithm string
	private        crypto.Signer
}

// New makes a provider and its keys. RSA keys have 2048 bits and take a moment
// to make.
func New(c Config) (*Provider, error) {
	p := &Provider{issuer: c.Issuer, now: c.Now}
	if p.now == nil {
		p.now = time.Now //nolint:forbidigo // the one default
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"ES256"}
	}
	for _, algorithm := range c.Algorithms {
		if _, err := p.Add(algorithm); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Issuer returns the iss of the provider's tokens.
func (p *Provider) Issuer() string { return p.issuer }

// Add makes and publishes one more key for an algorithm (RS256 to PS512, ES256
// to ES512, EdDSA) and returns its kid. Token goes on to use the first key.
func (p *Provider) Add(algorithm string) (kid string, err error) {
	private, err := generate(algorithm)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	kid = strings.ToLower(algorithm) + "-" + strconv.Itoa(p.count)
	p.keys = append(p.keys, signingKey{kid, algorithm, private})
	return kid, nil
}

// Adopt publishes a key pair of the caller's under a kid of its choice, even
// one that is taken.
func (p *Provider) Adopt(kid, algorithm string, private crypto.Signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.keys = append(p.keys, signingKey{kid, algorithm, private})
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("no keys are made for algorithm %q", algorithm)
}

// Withdraw takes the keys of a kid out of the set; they cannot sign any more.
func (p *Provider) Withdraw(kid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = slices.DeleteFunc(p.keys, func(k signingKey) bool { return k.kid == kid })
}

// Rotate replaces all keys by one new key for the algorithm.
func (p *Provider) Rotate(algorithm string) (kid string, err error) {
	p.mu.Lock()
	p.keys = nil
	p.mu.Unlock()
	return p.Add(algorithm)
}

// KeyIDs returns the kids of the set, the one that Token uses first.
func (p *Provider) KeyIDs() []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	ids := make([]string, 0, len(p.keys))
	for _, k := range p.keys {
		ids = append(ids, k.kid)
	}
	return ids
}

// Absent is the value of a claim that is left out, though Token would fill it
// in.
type Absent struct{}

// Token signs claims with the first key. Where claims does not say otherwise,
// iss is the provider's, iat is now and exp is in an hour.
func (p *Provider) Token(claims map[string]any) (string, error) {
	ids := p.KeyIDs()
	if len(ids) == 0 {
		return "", errors.New("the provider has no key")
	}
	return p.TokenWith(ids[0], claims)
}

// TokenWith is Token with the key of a kid.
func (p *Provider) TokenWith(kid string, claims map[string]any) (string, error) {
	k, err := p.key(kid)
	if err != nil {
		return "", err
	}
	now := p.now().Unix()
	all := map[string]any{"iss": p.issuer, "iat": now, "exp": now + int64(lifetime/time.Second)}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == Absent{} })
	payload, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	header, err := json.Marshal(map[string]string{"alg": k.algorithm, "kid": k.kid, "typ": "JWT"})
	if err != nil {
		return "", fmt.Errorf("encoding the header: %w", err)
	}
	return k.sign(header, payload)
}

// Sign signs any header and payload, as they are, with the key of a kid and
// the algorithm of that key: for tests of what a verifier must refuse.
func (p *Provider) Sign(kid string, header, payload []byte) (string, error) {
	k, err := p.key(kid)
	if err != nil {
		return "", err
	}
	return k.sign(header, payload)
}

func (p *Provider) key(kid string) (signingKey, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, k := range p.keys {
		if k.kid == kid {
			return k, nil
		}
	}
	return signingKey{}, fmt.Errorf("the provider has no key %q", kid)
}

func (k signingKey) sign(header, payload []byte) (string, error) {
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(k.algorithm))
	if err != nil {
		return "", fmt.Errorf("choosing a signer: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(header) + "." + encode(payload)
	signature, err := signer.Sign([]byte(input), k.private)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return input + "." + encode(signature), nil
}

// JWKS returns the key set as JSON.
func (p *Provider) JWKS() ([]byte, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	set := jwk.NewSet()
	for _, k := range p.keys {
		public, err := k.publish()
		if err != nil {
			return nil, err
		}
		if err := set.AddKey(public); err != nil {
			return nil, fmt.Errorf("adding a key to the set: %w", err)
		}
	}
	return json.Marshal(set)
}

func (k signingKey) publish() (jwk.Key, error) {
	public, err := jwk.FromRaw(k.private.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	for name, value := range map[string]string{jwk.KeyIDKey: k.kid, jwk.AlgorithmKey: k.algorithm, jwk.KeyUsageKey: "sig"} {
		if err := public.Set(name, value); err != nil {
			return nil, fmt.Errorf("describing a key: %w", err)
		}
	}
	return public, nil
}

// ServeHTTP answers every request with the key set.
func (p *Provider) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	body, err := p.JWKS()
	if err != nil {
		http.Error(w, "the key set cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Write(body) //nolint:errcheck,gosec // the client went away; public keys in JSON
}
