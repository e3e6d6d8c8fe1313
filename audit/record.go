package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// The decisions.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Record is one decision: one line of the log.
type Record struct {
	Time         time.Time              `json:"time"`
	Environment  playback.EnvironmentID `json:"environment"`
	RequestID    string                 `json:"request_id,omitempty"`
	Decision     string                 `json:"decision"`         // allow: a token was handed out
	Rule         string                 `json:"rule"`             // "" none matched
	Reason       playback.Code          `json:"reason,omitempty"` // the code of the refusal
	Revision     string                 `json:"policy_revision"`
	PlaybackID   playback.ID            `json:"playback_id"`
	AssetID      playback.AssetID       `json:"asset_id,omitempty"`
	Type         string                 `json:"type"`
	Issuer       string                 `json:"viewer_issuer,omitempty"`
	Viewer       string                 `json:"viewer,omitempty"` // a pseudonym, "" anonymous
	Country      string                 `json:"country,omitempty"`
	KeyID        playback.KeyID         `json:"key_id,omitempty"`
	ExpiresAt    int64                  `json:"expires_at,omitempty"` // Unix seconds
	Bound        string                 `json:"expires_by,omitempty"` // which end its life has
	Latency      int64                  `json:"latency_us"`           // microseconds
	Stale        bool                   `json:"degraded,omitempty"`
	Weight       uint32                 `json:"weight,omitempty"` // how many decisions it stands for, being one of a sample; 0: one
	Unread       []string               `json:"unread,omitempty"` // what nobody looked up, as the rules did not ask: place, grants
	InputsDigest string                 `json:"inputs_digest"`    // equal for equal questions, whenever they are asked
	Inputs       *playback.Inputs       `json:"inputs,omitempty"`
}

// pseudonyms are keyed hashes: whoever has the key can find a viewer's records,
// nobody else can tell who a record is about.
type pseudonyms struct{ key []byte }

const pseudonymBytes = 16 // 128 bits: no two viewers meet by chance

// Pseudonym returns the name of a viewer in the decision log: the first 128 bits
// of HMAC-SHA-256 with the log's key over "playgate decisions", the environment,
// the issuer's alias and the viewer's ID, with zero bytes between them.
func Pseudonym(key playback.Secret, env playback.EnvironmentID, issuer, id string) string {
	return pseudonyms{[]byte(key.Reveal())}.of(env, issuer, id)
}

// IsPseudonym reports whether a text has the form of a pseudonym.
func IsPseudonym(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == pseudonymBytes
}

func (p pseudonyms) of(env playback.EnvironmentID, issuer, id string) string {
	if id == "" {
		return ""
	}
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte("playgate decisions\x00" + string(env) + "\x00" + issuer + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:pseudonymBytes])
}

// digest is keyed too: inputs can be guessed.
func (p pseudonyms) digest(in *playback.Inputs) (string, error) {
	timeless := *in
	timeless.Now = time.Time{}
	text, err := json.Marshal(&timeless)
	if err != nil {
		return "", fmt.Errorf("writing inputs: %w", err)
	}
	mac := hmac.New(sha256.New, p.key)
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil)[:pseudonymBytes]), nil
}

// note writes down what must be taken from a decision before its caller goes
// on.
func note(d *playback.Decided) *Record {
	in := playback.InputsOf(d.Question)
	in.Request.Referrer, in.Request.Origin = bare(in.Request.Referrer), bare(in.Request.Origin)
	r := &Record{
		Time: d.Started.UTC(), Environment: d.Environment, RequestID: strings.Clone(d.RequestID), Decision: Allow, Rule: d.Rule, Reason: d.Code,
		Revision: d.Revision, Type: in.Request.Type, Country: in.Request.Country,
		KeyID: d.Key, ExpiresAt: d.Exp, Bound: d.Bound, Latency: d.Latency.Microseconds(), Stale: d.Stale, Unread: d.Unread, Inputs: in,
	}
	if d.Code != "" {
		r.Decision = Deny
	}
	if in.Playback != nil {
		r.PlaybackID = in.Playback.ID
	}
	if in.Asset != nil {
		r.AssetID = in.Asset.ID
	}
	return r
}

// bare returns an address without its query and fragment, which hold what other
// sites say to themselves: words that were searched for, tokens, mail addresses.
func bare(address string) string {
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		return address[:i]
	}
	return address
}

// finish hides who the viewer is, and adds the digest.
func (p pseudonyms) finish(r *Record, keepInputs bool) error {
	if v := r.Inputs.Viewer; v != nil {
		r.Issuer, r.Viewer = v.Issuer, p.of(r.Environment, v.Issuer, v.ID)
		hidden := *v // claims are shared with the viewer's identity
		hidden.ID = r.Viewer
		if _, ok := v.Claims["sub"]; ok {
			hidden.Claims = maps.Clone(v.Claims)
			hidden.Claims["sub"] = r.Viewer
		}
		r.Inputs.Viewer = &hidden
	}
	digest, err := p.digest(r.Inputs)
	if err != nil {
		return err
	}
	r.InputsDigest = digest
	if !keepInputs {
		r.Inputs = nil
	}
	return nil
}
