package catalog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// ErrSignature says that a webhook was not signed with any of the secrets, or
// too long ago.
var ErrSignature = errors.New("the webhook's signature is not good")

// maxSignatures bounds the v1 entries that are looked at: who sends a webhook
// has proved nothing yet.
const maxSignatures = 16

// VerifySignature checks a webhook's Mux-Signature header (mux.md §7):
// "t=<unix>,v1=<hex>", of which several v1 may be there, over "<t>.<body>". Any
// of them may be by any of the secrets. Like Mux's SDKs, it minds signatures
// that are older than the tolerance, not those of a clock that is ahead.
func VerifySignature(header string, body []byte, secrets []playback.Secret, notBefore time.Time) error {
	stamp, signatures, ok := parseSignature(header)
	if !ok {
		return ErrSignature
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || at < notBefore.Unix() {
		return ErrSignature
	}
	good := 0
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write([]byte(stamp))
		mac.Write([]byte{'.'})
		mac.Write(body)
		want := mac.Sum(nil)
		for _, signature := range signatures {
			if hmac.Equal(want, signature) {
				good++
			}
		}
	}
	if good == 0 {
		return ErrSignature
	}
	return nil
}

func parseSignature(header string) (stamp string, signatures [][]byte, ok bool) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if stamp != "" {
				return "", nil, false
			}
			stamp = value
		case "v1":
			if signature, err := hex.DecodeString(value); err == nil && len(signature) == sha256.Size && len(signatures) < maxSignatures {
				signatures = append(signatures, signature)
			}
		}
	}
	return stamp, signatures, stamp != "" && len(signatures) > 0
}
