package vault

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// transitKey is a key in the engine. It is immutable.
type transitKey struct {
	transit *transit
	name    string
	public  *rsa.PublicKey
}

var _ keystore.Signer = (*transitKey)(nil)

// Public implements keystore.Signer.
func (k *transitKey) Public() *rsa.PublicKey { return k.public }

// Sign implements keystore.Signer: one call for all digests. Every error is a
// *keystore.UnavailableError.
func (k *transitKey) Sign(ctx context.Context, digests [][sha256.Size]byte) ([][]byte, error) {
	t := k.transit
	if wait := t.notes.wait(); wait > 0 {
		return nil, &keystore.UnavailableError{RetryAfter: wait, Err: quietError{wait}}
	}
	token := t.source.client.Token()
	signatures, err := t.sign(ctx, k.name, digests)
	if forbidden(err) {
		// The error of a failed log-in says less than the refusal.
		if fresh, _ := t.source.session.replace(ctx, token); fresh {
			signatures, err = t.sign(ctx, k.name, digests)
		}
	}
	if err == nil {
		return signatures, nil
	}
	unavailable := &keystore.UnavailableError{RetryAfter: t.notes.wait(), Err: t.source.explain(err)}
	if open, ok := errors.AsType[openError](err); ok {
		unavailable.RetryAfter = open.wait
	}
	return nil, unavailable
}

// signRequest is the body of transit/sign. Digests go there instead of what
// was hashed, so that no claim ever comes to Vault or its audit log.
type signRequest struct {
	BatchInput          []signItem  `json:"batch_input"`
	Prehashed           bool        `json:"prehashed"`
	HashAlgorithm       string      `json:"hash_algorithm"`
	SignatureAlgorithm  string      `json:"signature_algorithm"` // transit's default is PSS
	MarshalingAlgorithm string      `json:"marshaling_algorithm"`
	KeyVersion          json.Number `json:"key_version"`
}

type signItem struct {
	Input []byte `json:"input"` // standard base64, as encoding/json has it
}

// sign makes one call, if the breaker lets it.
func (t *transit) sign(ctx context.Context, name string, digests [][sha256.Size]byte) ([][]byte, error) {
	request := signRequest{
		BatchInput: make([]signItem, len(digests)), Prehashed: true, HashAlgorithm: "sha2-256",
		SignatureAlgorithm: "pkcs1v15", MarshalingAlgorithm: "jws", KeyVersion: keyVersion,
	}
	for i := range digests {
		request.BatchInput[i].Input = digests[i][:]
	}
	body, err := json.Marshal(request)
	if err != nil { // it holds nothing that cannot be written
		return nil, err
	}
	if err := t.breaker.enter(); err != nil {
		return nil, err
	}
	results, err := t.call(ctx, t.path("sign", name), body)
	t.breaker.leave(!down(err), err)
	if err != nil {
		return nil, err
	}
	return signaturesOf(results, len(digests))
}

// call posts a body, and returns the results. (The api's raw functions end the
// context, and with it the connection, before the answer is read.)
func (t *transit) call(ctx context.Context, path string, body []byte) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, t.source.cfg.SignTimeout)
	defer cancel()
	if token := t.source.client.Token(); token != t.client.Token() {
		t.client.SetToken(token)
	}
	answer, err := t.client.Logical().WriteBytesWithContext(ctx, path, body)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, plainly(err))
	}
	if answer == nil {
		return nil, fmt.Errorf("writing %s: an empty answer", path)
	}
	results, ok := answer.Data["batch_results"].([]any)
	if !ok {
		return nil, fmt.Errorf("writing %s: answer without results", path)
	}
	return results, nil
}

// down reports whether an error means that Vault does not answer, or only to
// say that it cannot: it is pointless to ask for anything else.
func down(err error) bool {
	refusal, refused := errors.AsType[*refusalError](err)
	return err != nil && (!refused || refusal.status >= http.StatusInternalServerError || refusal.status == http.StatusPreconditionFailed)
}

// signaturesOf takes the signatures out of results: "vault:v1:" and base64.
func signaturesOf(results []any, want int) ([][]byte, error) {
	if len(results) != want {
		return nil, fmt.Errorf("%s for %s", playback.Count(len(results), "result", "results"), playback.Count(want, "digest", "digests"))
	}
	signatures := make([][]byte, want)
	for i, result := range results {
		members, _ := result.(map[string]any)
		if refusal, ok := members["error"].(string); ok && refusal != "" {
			return nil, fmt.Errorf("transit refused to sign: %.300s", refusal)
		}
		signature, _ := members["signature"].(string)
		text, ok := strings.CutPrefix(signature, "vault:v"+keyVersion+":")
		if !ok {
			return nil, fmt.Errorf("a signature begins with %.12q, not with vault:v%s", signature, keyVersion)
		}
		// marshaling_algorithm chooses the alphabet; an older server may not.
		text = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text), "=")
		var err error
		if signatures[i], err = base64.RawURLEncoding.DecodeString(text); err != nil {
			return nil, fmt.Errorf("a signature is no base64: %w", err)
		}
	}
	return signatures, nil
}
