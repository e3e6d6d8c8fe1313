package vault

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// create brings a private key into the engine, so that it can never leave
// again: not exportable, no backup, no rotation. A key that is there already is
// fine if it is the same, and keystore.ErrExists if not.
func (t *transit) create(ctx context.Context, env playback.EnvironmentID, id playback.KeyID, material []byte) error {
	private, _, err := keystore.Parse(material)
	if err != nil {
		return err
	}
	bits := private.N.BitLen()
	if !slices.Contains([]int{2048, 3072, 4096}, bits) {
		return fmt.Errorf("is an RSA key of %d bits; transit holds those of 2048, 3072 and 4096", bits)
	}
	name := t.name(env, id)
	if !transitName(name) {
		return fmt.Errorf("transit cannot hold a key named %s, because its ID ends with a hyphen", name)
	}
	if err := t.source.session.ensure(ctx); err != nil {
		return err
	}
	switch public, refused, err := t.public(ctx, name); {
	case err != nil:
		return err
	case refused == nil && public.Equal(&private.PublicKey):
		return nil // somebody was here before, and did not come to the end
	case !errors.Is(refused, errNotThere):
		return fmt.Errorf("importing %s: %w", t.path("keys", name), keystore.ErrExists)
	}
	ciphertext, err := t.wrap(ctx, private)
	if err != nil {
		return err
	}
	_, err = t.source.write(ctx, t.path("keys", name, "import"), map[string]any{
		"ciphertext": ciphertext, "hash_function": "SHA256", "type": fmt.Sprintf("rsa-%d", bits),
		"allow_rotation": false, "exportable": false, "allow_plaintext_backup": false,
	})
	return err
}

// wrap encrypts a private key for the engine alone: AES-KWP with a key of its
// own, which is encrypted with the engine's wrapping key (RSA-OAEP).
func (t *transit) wrap(ctx context.Context, private *rsa.PrivateKey) (string, error) {
	path := t.path("wrapping_key")
	found, err := t.source.get(ctx, path, nil)
	if err != nil {
		return "", err
	}
	text, _ := found["public_key"].(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", fmt.Errorf("reading %s: answer without a key: is %s a transit engine?", path, t.source.cfg.TransitMount)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	wrapping, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return "", fmt.Errorf("reading %s: a key of type %T; want RSA", path, parsed)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("wrapping key: %w", err)
	}
	once := make([]byte, 32)
	_, _ = rand.Read(once) // never fails
	wrapped, err := wrapKey(once, der)
	if err != nil {
		return "", err
	}
	lock, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, wrapping, once, nil)
	if err != nil {
		return "", fmt.Errorf("wrapping key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(append(lock, wrapped...)), nil
}

// remove deletes a key from the engine, for good. No key is no error.
func (t *transit) remove(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) error {
	name := t.name(env, id)
	if !transitName(name) {
		return nil // it never was
	}
	if err := t.source.session.ensure(ctx); err != nil {
		return err
	}
	path := t.path("keys", name)
	found, err := t.source.get(ctx, path, nil)
	if err != nil || found == nil {
		return err
	}
	if _, err := t.source.write(ctx, path+"/config", map[string]any{"deletion_allowed": true}); err != nil {
		return err
	}
	return t.source.erase(ctx, path)
}
