package muxsim

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minKeyBits   = 2048
	maxKeySet    = 1 << 20          // bytes
	keySetMaxAge = 60 * time.Second // the JWKS answer's max-age (contract §6)
	keySetPause  = time.Second      // between two fetches
)

// keyring holds an environment's public keys: those that were added and those
// of its JWKS URL.
type keyring struct {
	url    string
	client *http.Client
	now    func() time.Time
	keys   atomic.Pointer[keySet]

	mu sync.Mutex // held while keys is replaced, and while the set is fetched
}

// keySet is immutable.
type keySet struct {
	added   map[KeyID]addedKey
	fetched map[KeyID]*rsa.PublicKey
	tried   time.Time
	loaded  time.Time
}

// addedKey is a key that Mux was asked to create, or that was there from the
// beginning.
type addedKey struct {
	*rsa.PublicKey

	at time.Time
}

func (s *keySet) find(kid KeyID) (*rsa.PublicKey, bool) {
	if key, ok := s.added[kid]; ok {
		return key.PublicKey, true
	}
	key, ok := s.fetched[kid]
	return key, ok
}

func (k *keyring) add(kid KeyID, key *rsa.PublicKey) error {
	switch {
	case !kid.Valid():
		return fmt.Errorf("key %q: not a key ID", kid)
	case key == nil || key.N.BitLen() < minKeyBits:
		return fmt.Errorf("key %s: want an RSA key of at least %d bits", kid, minKeyBits)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := *k.keys.Load()
	next.added = maps.Clone(next.added)
	next.added[kid] = addedKey{key, k.now()}
	k.keys.Store(&next)
	return nil
}

// remove forgets a key and reports whether it had been added.
func (k *keyring) remove(kid KeyID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := *k.keys.Load()
	_, added := next.added[kid]
	next.added = maps.Clone(next.added)
	delete(next.added, kid)
	next.fetched = maps.Clone(next.fetched)
	delete(next.fetched, kid)
	k.keys.Store(&next)
	return added
}

// find returns the key, fetching the JWKS when the kid is unknown or the set is
// old. A set that cannot be fetched stays as it was.
func (k *keyring) find(ctx context.Context, kid KeyID) (*rsa.PublicKey, bool) {
	set := k.keys.Load()
	key, ok := set.find(kid)
	_, added := set.added[kid]
	if k.url == "" || ok && k.now().Sub(set.loaded) < keySetMaxAge || added {
		return key, ok
	}
	return k.refresh(ctx).find(kid)
}

func (k *keyring) refresh(ctx context.Context) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := *k.keys.Load()
	if k.now().Sub(next.tried) < keySetPause {
		return &next
	}
	next.tried = k.now()
	if fetched, err := k.fetch(ctx); err == nil {
		next.fetched, next.loaded = fetched, next.tried
	}
	k.keys.Store(&next)
	return &next
}

func (k *keyring) fetch(ctx context.Context) (map[KeyID]*rsa.PublicKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetching key set: %w", err)
	}
	response, err := k.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching key set: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching key set: status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("reading key set: %w", err)
	}
	if len(body) > maxKeySet {
		return nil, fmt.Errorf("reading key set: more than %d bytes", maxKeySet)
	}
	return parseKeySet(body)
}

// parseKeySet reads a JWKS (RFC 7517 §5) and keeps what may verify RS256: RSA,
// at least 2048 bits, public parts only, meant for signatures.
func parseKeySet(body []byte) (map[KeyID]*rsa.PublicKey, error) {
	var set struct {
		Keys []struct {
			Kty, Use, Alg, Kid, N, E, D string
		} `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("reading key set: %w", err)
	}
	keys := map[KeyID]*rsa.PublicKey{}
	for _, j := range set.Keys {
		kid := KeyID(j.Kid)
		if j.Kty != "RSA" || j.Use != "" && j.Use != "sig" || j.Alg != "" && j.Alg != "RS256" || j.D != "" || !kid.Valid() {
			continue
		}
		if key, ok := publicKey(j.N, j.E); ok {
			keys[kid] = key
		}
	}
	return keys, nil
}

func publicKey(modulus, exponent string) (*rsa.PublicKey, bool) {
	n, errN := decodeBase64(modulus)
	e, errE := decodeBase64(exponent)
	if errN != nil || errE != nil || len(e) > 4 {
		return nil, false
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	return key, key.N.BitLen() >= minKeyBits && key.E >= 3 && key.E%2 == 1 && key.E <= 1<<31-1
}
