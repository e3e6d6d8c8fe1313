package muxapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/playgate/playgate/playback"
)

// ErrUnsettled is what errors.Is finds in an UnsettledError.
var ErrUnsettled = errors.New("a signing key may have been created")

// ErrEnvironment says that nothing was asked of Mux, because the access token is
// not that of Config.EnvironmentID.
var ErrEnvironment = errors.New("the access token belongs to another environment of Mux")

// Error is an answer of Mux that is no success.
type Error struct {
	Op       string // what was asked, such as "creating a signing key"
	Status   int
	Type     string   // Mux's word for it, "" if it gave none
	Messages []string // of Mux, without the access token's secret
	// RetryAfter is how long Mux asks to wait; 0 if it does not.
	RetryAfter time.Duration
}

// Error returns what was asked and what Mux said.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: Mux answered %d", e.Op, e.Status)
	if e.Type != "" {
		text += " " + e.Type
	}
	if len(e.Messages) > 0 {
		text += ": " + strings.Join(e.Messages, "; ")
	}
	switch e.Status {
	case 401:
		text += " (check mux.token_id, its secret, and that the token has System permissions)"
	case 403:
		text += " (the access token lacks the System permission)"
	}
	return text
}

// UnsettledError says that Mux was asked to create a signing key and that
// nobody knows whether it did. It was not asked again, because a second key
// would leave the first one behind, known to nobody and able to sign.
type UnsettledError struct {
	// Candidates are keys that Mux has now and had not before, as far as it
	// could be asked: the one that was created may be among them.
	Candidates []playback.KeyID
	Err        error // what happened to the request
}

// Error says what is not known and why.
func (e *UnsettledError) Error() string {
	text := ErrUnsettled.Error() + " at Mux, but no answer says which"
	if len(e.Candidates) > 0 {
		names := make([]string, len(e.Candidates))
		for i, id := range e.Candidates {
			names[i] = string(id)
		}
		text += " (new there: " + strings.Join(names, ", ") + ")"
	}
	return text + ": " + e.Err.Error()
}

// Unwrap makes ErrUnsettled and the cause visible to errors.Is and errors.As.
func (e *UnsettledError) Unwrap() []error { return []error{ErrUnsettled, e.Err} }

const (
	maxMessages = 8
	maxMessage  = 512 // bytes
)

// newError reads Mux's error envelope; an answer without one is an Error too.
func (c *Client) newError(op string, r *answer) *Error {
	e := &Error{Op: op, Status: r.status, RetryAfter: r.retryAfter}
	var envelope struct {
		Error struct {
			Type     string   `json:"type"`
			Messages []string `json:"messages"`
		} `json:"error"`
	}
	if json.Unmarshal(r.body, &envelope) != nil {
		return e
	}
	e.Type = c.quote(envelope.Error.Type)
	for _, m := range envelope.Error.Messages[:min(len(envelope.Error.Messages), maxMessages)] {
		e.Messages = append(e.Messages, c.quote(m))
	}
	return e
}

// quote makes another's text fit for a log line: short, printable, and without
// the credential that was sent along.
func (c *Client) quote(text string) string {
	secret := c.secret.Reveal()
	for _, s := range []string{base64.StdEncoding.EncodeToString([]byte(c.tokenID + ":" + secret)), secret} {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), maxMessage)], ""))
	return text
}
