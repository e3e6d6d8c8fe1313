package catalog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// ErrSignature says that a webhook was not signed with any of the secrets, or
// too long ago. What wraps it says what was wrong, for the log: whoever is
// refused has proved nothing and learns nothing.
var ErrSignature = errors.New("the webhook's signature is not good")

// maxSignatures bounds the v1 entries that are looked at: who sends a webhook
// has proved nothing yet.
const maxSignatures = 16

// hashStep is how much of a body is hashed before other goroutines run, bytes: whoever
// sends a webhook has proved nothing yet, and hashing cannot be interrupted.
const hashStep = 32 << 10

// CheckSignature refuses a Mux-Signature header that cannot be right whatever the
// body and the secret: it is missing or malformed, or older than any tolerance. The
// error is one of VerifySignature's.
func CheckSignature(header string, notBefore time.Time) error {
	stamp, _, err := parseSignature(header)
	if err != nil {
		return err
	}
	unix, err := timeOf(stamp)
	if err != nil {
		return err
	}
	if unix < notBefore.Unix() {
		return tooOld("it is too old", unix, notBefore)
	}
	return nil
}

// VerifySignature checks a webhook's Mux-Signature header (mux.md §7):
// "t=<unix>,v1=<hex>", of which several v1 may be there, over "<t>.<body>". Any
// of them may be by any of the secrets. Like Mux's SDKs, it minds signatures
// that are older than the tolerance, not those of a clock that is ahead. The
// error wraps ErrSignature and holds neither a secret nor a signature.
func VerifySignature(header string, body []byte, secrets []playback.Secret, notBefore time.Time) error {
	stamp, signatures, err := parseSignature(header)
	if err != nil {
		return err
	}
	unix, err := timeOf(stamp)
	if err != nil {
		return err
	}
	if len(secrets) == 0 {
		return badSignature("no secret is configured (webhooks.secret_files)")
	}
	good := 0
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write([]byte(stamp))
		mac.Write([]byte{'.'})
		for part := range slices.Chunk(body, hashStep) {
			mac.Write(part)
			runtime.Gosched()
		}
		want := mac.Sum(nil)
		for _, signature := range signatures {
			if hmac.Equal(want, signature) {
				good++
			}
		}
	}
	if good == 0 {
		return badSignature("none of its v1 signatures (%d) is by one of the secrets (%d)", len(signatures), len(secrets))
	}
	if unix < notBefore.Unix() {
		return tooOld("it is by one of the secrets, but too old", unix, notBefore)
	}
	return nil
}

// timeOf reads a header's t.
func timeOf(stamp string) (unix int64, err error) {
	unix, err = strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return 0, badSignature("its t is not a number of seconds")
	}
	return unix, nil
}

func tooOld(what string, unix int64, notBefore time.Time) error {
	return badSignature("%s: of %s, with webhooks.tolerance none before %s may be",
		what, time.Unix(unix, 0).UTC().Format(time.RFC3339), notBefore.UTC().Format(time.RFC3339))
}

func badSignature(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSignature, fmt.Sprintf(format, args...))
}

// parseSignature reads the header's parts. Its error says what is missing,
// without a word of what was sent.
func parseSignature(header string) (stamp string, signatures [][]byte, err error) {
	if header == "" {
		return "", nil, badSignature("there is no Mux-Signature header")
	}
	unreadable := 0
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if stamp != "" {
				return "", nil, badSignature("its header is malformed: it has two t")
			}
			stamp = value
		case "v1":
			signature, err := hex.DecodeString(value)
			switch {
			case err != nil || len(signature) != sha256.Size:
				unreadable++
			case len(signatures) < maxSignatures:
				signatures = append(signatures, signature)
			}
		}
	}
	switch {
	case stamp == "":
		return "", nil, badSignature("its header is malformed: it has no t")
	case len(signatures) == 0:
		return "", nil, badSignature("its header is malformed: it has no v1 of 64 hexadecimal digits (%s)", playback.Count(unreadable, "other", "others"))
	}
	return stamp, signatures, nil
}
