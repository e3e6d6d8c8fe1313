package vault

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// keyVersion is the version of a transit key that signs. Mux knows one public
// key under one ID, so there is one transit key for each, and what a rotation
// inside Vault adds to it is nobody's.
const keyVersion = "1"

// transit is a transit engine that holds the private keys. What is known of
// their life stays in the KV engine.
type transit struct {
	source  *Source
	client  *api.Client // for signing: no retries, a short timeout
	notes   *notes      // of what this client has been told
	breaker *breaker
}

func newTransit(s *Source) (*transit, error) {
	t := &transit{source: s, notes: &notes{now: s.cfg.Now}, breaker: &breaker{now: s.cfg.Now, logger: s.cfg.Logger}}
	var err error
	const connections = 32 // more than there are calls in flight
	t.client, err = newClient(&s.cfg, traffic{timeout: s.cfg.SignTimeout, connections: connections, notes: t.notes})
	return t, err
}

// name returns the name of a key in the engine. Neither environments nor key
// IDs have dots, so that no key of one environment is one of another.
func (t *transit) name(env playback.EnvironmentID, id playback.KeyID) string {
	return transitPrefix(t.source.cfg.Prefix) + string(env) + "." + string(id)
}

// path returns an API path of the engine.
func (t *transit) path(segments ...string) string {
	return t.source.cfg.TransitMount + "/" + strings.Join(segments, "/")
}

// transitPrefix returns what the names of the keys begin with.
func transitPrefix(prefix string) string {
	if prefix = strings.Trim(prefix, "/"); prefix == "" {
		return ""
	}
	return strings.ReplaceAll(prefix, "/", ".") + "."
}

// transitName reports whether Vault accepts a name. It is that of a path
// segment, too.
func transitName(name string) bool {
	return regexp.MustCompile(`\A\w([\w.-]*\w)?\z`).MatchString(name)
}

// record completes the record of an entry with its key in the engine. last is
// what came of it before, if anything did.
func (t *transit) record(ctx context.Context, env playback.EnvironmentID, entry, last keystore.Record) (keystore.Record, error) {
	name := t.name(env, entry.ID)
	if !transitName(name) {
		return keystore.Refuse(entry.ID, entry.Origin, fmt.Errorf("transit cannot hold a key named %s, because its ID ends with a hyphen", name)), nil
	}
	public, refused, err := t.public(ctx, name)
	switch {
	case err != nil:
		return keystore.Record{}, err
	case refused != nil:
		return keystore.Refuse(entry.ID, entry.Origin, refused), nil
	}
	if before, ok := last.Remote.(*transitKey); ok && before.public.Equal(public) {
		entry.Remote = before
	} else {
		entry.Remote = &transitKey{transit: t, name: name, public: public}
	}
	entry.Thumbprint = keystore.ThumbprintOf(public)
	return entry, nil
}

// errNotThere is why there is no public half of a key.
var errNotThere = errors.New("is not there")

// public returns the public half of a key in the engine, or why the gateway
// cannot use it. The error means that nobody can tell.
func (t *transit) public(ctx context.Context, name string) (public *rsa.PublicKey, refused, err error) {
	path := t.path("keys", name)
	found, err := t.source.get(ctx, path, nil)
	if err != nil {
		return nil, nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("has its state here, but its key %s %w: import it with playgate keys import", path, errNotThere), nil
	}
	public, err = usable(found)
	if err != nil {
		return nil, fmt.Errorf("its key %s %w", path, err), nil
	}
	return public, nil, nil
}

// usable returns the public half of the key that an answer describes, or why it
// cannot sign for Mux.
func usable(key map[string]any) (*rsa.PublicKey, error) {
	kind, _ := key["type"].(string)
	if !strings.HasPrefix(kind, "rsa-") || key["derived"] == true {
		return nil, fmt.Errorf("is of type %.40q; Mux's tokens are RS256, which needs rsa-2048, rsa-3072 or rsa-4096", kind)
	}
	versions, _ := key["keys"].(map[string]any)
	version, ok := versions[keyVersion].(map[string]any)
	if !ok {
		return nil, errors.New("has no version 1 any more: only that is known to Mux")
	}
	if least, ok := key["min_encryption_version"].(json.Number); ok && least.String() != "0" && least.String() != keyVersion {
		return nil, fmt.Errorf("has the min_encryption_version %s, so that version 1, the only one that Mux knows, cannot sign", least)
	}
	text, _ := version["public_key"].(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("has no public key in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("has an unreadable public key: %w", err)
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok || public.N.BitLen() < keystore.MinBits {
		return nil, fmt.Errorf("is no RSA key of %d bits or more", keystore.MinBits)
	}
	return public, nil
}
