package muxapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/playgate/playgate/playback"
)

// SigningKey is a signing key as Mux has it.
type SigningKey struct {
	ID        playback.KeyID
	CreatedAt time.Time // by Mux's clock; zero: Mux did not say
	// PrivateKey is the base64 of a PEM (PKCS#1), in the answer to
	// CreateSigningKey alone: Mux keeps no copy.
	PrivateKey playback.Secret
}

// wireKey is a key as it is sent. created_at is a string of Unix seconds.
type wireKey struct {
	ID         playback.KeyID  `json:"id"`
	CreatedAt  json.RawMessage `json:"created_at"`
	PrivateKey string          `json:"private_key"`
}

func (w wireKey) key() (SigningKey, error) {
	if !w.ID.Valid() {
		return SigningKey{}, fmt.Errorf("%.140q is not a key ID; want 1 to 128 letters, digits, _ and -", w.ID)
	}
	k := SigningKey{ID: w.ID, PrivateKey: playback.NewSecret(w.PrivateKey)}
	text := string(w.CreatedAt)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
		k.CreatedAt = time.Unix(seconds, 0).UTC()
	}
	return k, nil
}

const (
	keysPath = "/system/v1/signing-keys"
	pageSize = 100
	maxPages = 50 // 5,000 keys: beyond, Mux does not turn its pages
)

// CreateSigningKey makes Mux create a key pair, in the access token's
// environment, and returns it with the private key. Whoever calls it must write
// that down before anything else.
//
// 429, and a 5xx after which Mux has no more keys than before, are asked again.
// Every other end that leaves open whether there is a key now is an
// *UnsettledError; any other error means that there is none.
func (c *Client) CreateSigningKey(ctx context.Context) (SigningKey, error) {
	const op = "creating a signing key"
	before, err := c.ListSigningKeys(ctx)
	if err != nil {
		return SigningKey{}, fmt.Errorf("before %s: %w", op, err)
	}
	for n := 1; ; n++ {
		if err := c.posts.wait(ctx, c.steady); err != nil {
			return SigningKey{}, fmt.Errorf("%s: waiting for Mux's rate limit: %w", op, err)
		}
		r, err := c.once(ctx, http.MethodPost, keysPath)
		if _, unsent := errors.AsType[notSentError](err); unsent {
			if ctx.Err() != nil || !c.backoff(ctx, n, 0) {
				return SigningKey{}, fmt.Errorf("%s: %w", op, err)
			}
			continue
		}
		if err != nil { // the request may yet arrive, so looking for its key proves nothing
			return SigningKey{}, &UnsettledError{Err: fmt.Errorf("%s: %w", op, err)}
		}
		if !r.temporary() {
			return c.created(op, r)
		}
		failure := c.newError(op, r)
		c.relent(ctx, &c.posts, n, r)
		if !c.backoff(ctx, n, r.retryAfter) {
			return SigningKey{}, c.settle(ctx, failure, before)
		}
		if err := c.settle(ctx, failure, before); errors.Is(err, ErrUnsettled) {
			return SigningKey{}, err
		}
	}
}

// created reads the answer to a creation that Mux will not change.
func (c *Client) created(op string, r *answer) (SigningKey, error) {
	if r.status/100 != 2 {
		return SigningKey{}, c.newError(op, r)
	}
	var envelope struct{ Data wireKey }
	err := json.Unmarshal(r.body, &envelope)
	unsettled := &UnsettledError{Err: fmt.Errorf("%s: Mux answered %d, but no signing key", op, r.status)} // never the body: it may hold the key
	if err != nil {
		return SigningKey{}, unsettled
	}
	key, err := envelope.Data.key()
	if err != nil {
		unsettled.Err = fmt.Errorf("%s: %w", op, err)
		return SigningKey{}, unsettled
	}
	if key.PrivateKey.Reveal() == "" {
		unsettled.Candidates = []playback.KeyID{key.ID}
		return SigningKey{}, unsettled
	}
	return key, nil
}

// settle returns the failure itself if Mux has no key that it had not before,
// else, or if Mux cannot be asked, an *UnsettledError. Mux does nothing for who
// is told 429.
func (c *Client) settle(ctx context.Context, failure *Error, before []SigningKey) error {
	if failure.Status == http.StatusTooManyRequests {
		return failure
	}
	after, err := c.ListSigningKeys(ctx)
	if err != nil {
		return &UnsettledError{Err: errors.Join(failure, err)}
	}
	var candidates []playback.KeyID
	for _, k := range after {
		if !slices.ContainsFunc(before, func(b SigningKey) bool { return b.ID == k.ID }) {
			candidates = append(candidates, k.ID)
		}
	}
	if len(candidates) > 0 {
		return &UnsettledError{Candidates: candidates, Err: failure}
	}
	return failure
}

// ListSigningKeys returns all signing keys of the access token's environment,
// in Mux's order, each once. None has its private key.
func (c *Client) ListSigningKeys(ctx context.Context) ([]SigningKey, error) {
	const op = "listing signing keys"
	if err := c.checkEnvironment(ctx); err != nil {
		return nil, err
	}
	var keys []SigningKey
	seen := map[playback.KeyID]bool{}
	for page := 1; page <= maxPages; page++ {
		r, err := c.ask(ctx, op, http.MethodGet, keysPath+"?page="+strconv.Itoa(page)+"&limit="+strconv.Itoa(pageSize))
		if err != nil {
			return nil, err
		}
		if r.status != http.StatusOK {
			return nil, c.newError(op, r)
		}
		var envelope struct{ Data []wireKey }
		if err := json.Unmarshal(r.body, &envelope); err != nil {
			return nil, fmt.Errorf("%s: reading Mux's answer: %w", op, err)
		}
		more := false
		for _, w := range envelope.Data {
			key, err := w.key()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", op, err)
			}
			if seen[key.ID] {
				continue // a key that was created meanwhile has moved it to this page
			}
			seen[key.ID], more = true, true
			keys = append(keys, key)
		}
		// A page that is not full may be one of a server with smaller pages.
		if !more {
			return keys, nil
		}
	}
	return nil, fmt.Errorf("%s: Mux has more than %d pages of them", op, maxPages)
}

// DeleteSigningKey makes Mux forget a key, which ends every token that it
// signed, within about a minute. A key that Mux does not have is no error.
func (c *Client) DeleteSigningKey(ctx context.Context, id playback.KeyID) error {
	op := "deleting signing key " + string(id)
	if !id.Valid() {
		return fmt.Errorf("deleting a signing key: %.140q is not a key ID", id)
	}
	if err := c.checkEnvironment(ctx); err != nil {
		return err
	}
	r, err := c.ask(ctx, op, http.MethodDelete, keysPath+"/"+string(id))
	if err != nil {
		return err
	}
	if r.status/100 == 2 {
		return nil
	}
	failure := c.newError(op, r)
	if r.status != http.StatusNotFound {
		return failure
	}
	// A wrong base URL answers 404 too. The key is gone if Mux lists others, or
	// none, but not this one.
	keys, err := c.ListSigningKeys(ctx)
	if err != nil {
		return errors.Join(failure, err)
	}
	if slices.ContainsFunc(keys, func(k SigningKey) bool { return k.ID == id }) {
		return failure
	}
	return nil
}
