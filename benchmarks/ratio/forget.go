package ratio

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/playgate/playgate/benchmarks/peers"
)

func (b *bench) jwksFile() string { return filepath.Join(b.Dir, "gateway", "jwks.json") }

// issuerKey reads the identity provider's public key from the gateway's files.
func (b *bench) issuerKey() (*rsa.PublicKey, error) {
	content, err := os.ReadFile(b.jwksFile())
	if err != nil {
		return nil, fmt.Errorf("reading the identity provider's key: %w", err)
	}
	var set struct{ Keys []struct{ N, E string } }
	if err := json.Unmarshal(content, &set); err != nil {
		return nil, fmt.Errorf("reading the identity provider's key: %w", err)
	}
	if len(set.Keys) != 1 {
		return nil, fmt.Errorf("the identity provider has %d keys, not one", len(set.Keys))
	}
	n, nErr := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	e, eErr := base64.RawURLEncoding.DecodeString(set.Keys[0].E)
	if err := errors.Join(nErr, eErr); err != nil {
		return nil, fmt.Errorf("reading the identity provider's key: %w", err)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}

// forgetViewers makes the gateway forget all viewers that it remembers: their
// key is withdrawn, by another name, and published again. So a window of new
// viewers needs no more tokens than one window's.
func (b *bench) forgetViewers(ctx context.Context) error {
	set, err := os.ReadFile(b.jwksFile())
	if err != nil {
		return fmt.Errorf("reading the key set: %w", err)
	}
	other := strings.Replace(string(set), `"kid":"idp"`, `"kid":"other"`, 1)
	if other == string(set) {
		return errors.New("the identity provider's key is not named as expected")
	}
	if err := b.publish(ctx, other, http.StatusUnauthorized); err != nil {
		return err
	}
	if err := b.publish(ctx, string(set), http.StatusOK); err != nil {
		return err
	}
	for _, viewer := range b.viewers[:missConnections] { // those of the misses are known again
		res, err := ask(ctx, b.gateway.URL+peers.Path(hot), viewer)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil {
			return fmt.Errorf("reading the gateway's answer: %w", err)
		}
	}
	return nil
}

// publish replaces the key set and waits until a viewer is answered so.
func (b *bench) publish(ctx context.Context, set string, status int) error {
	temporary := b.jwksFile() + ".new"
	if err := os.WriteFile(temporary, []byte(set), 0o600); err != nil { //nolint:gosec // in the run's own folder
		return fmt.Errorf("writing the key set: %w", err)
	}
	if err := os.Rename(temporary, b.jwksFile()); err != nil {
		return fmt.Errorf("writing the key set: %w", err)
	}
	if err := b.gateway.Reload(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		res, err := ask(ctx, b.gateway.URL+peers.Path(hot), b.viewers[0])
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil {
			return fmt.Errorf("reading the gateway's answer: %w", err)
		}
		if res.StatusCode == status {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway has not read the new key set: status %d", res.StatusCode)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
