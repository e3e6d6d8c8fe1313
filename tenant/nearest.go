package tenant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
)

// Bounds of what a token that nobody verified may put into a log line.
const (
	maxSeen       = 128 // bytes of one value
	maxRecipients = 4   // values of one token, or of one entry of the configuration
)

// Seen words whom a viewer token says it is from and for, for the log: quoted
// and bounded, whatever the token has.
func Seen(issuer string, recipients []playback.Recipient) string {
	return "iss " + quoted(issuer) + ", " + listed(recipients)
}

// listed words recipients: aud "a" or "b".
func listed(recipients []playback.Recipient) string {
	if len(recipients) == 0 {
		return "no aud, client_id or azp"
	}
	var b strings.Builder
	for i, r := range recipients {
		switch {
		case i == maxRecipients:
			fmt.Fprintf(&b, " and %d more", len(recipients)-i)
			return b.String()
		case i == 0 && r.Claim != playback.RecipientAudience:
			b.WriteString("no aud, ")
			fallthrough
		case i == 0:
			b.WriteString(string(r.Claim))
		case r.Claim != recipients[i-1].Claim:
			b.WriteString(", " + string(r.Claim))
		default:
			b.WriteString(" or")
		}
		b.WriteString(" " + quoted(r.Value))
	}
	return b.String()
}

// quoted returns a value in quotes, without anything that a terminal or a
// reader of lines could take for its own, and cut.
func quoted(s string) string {
	if len(s) > maxSeen {
		return fmt.Sprintf("%+q…", s[:maxSeen])
	}
	return fmt.Sprintf("%+q", s)
}

// Nearest words, for the log, which configured issuer comes nearest to that of a
// viewer token which leads to no environment, and what differs; "" where none is
// configured. It takes time in proportion to the configuration, so the caller
// bounds how often it is asked.
func (d *Directory) Nearest(issuer string, recipients []playback.Recipient) string {
	var (
		nearest *IssuerRef
		owner   *Environment
		least   int
	)
	wanted := folded(issuer)
	for _, e := range d.environments {
		for i := range e.Issuers {
			ref := &e.Issuers[i]
			// What is meant for the same recipient comes before what is not.
			distance := 2 * differing(wanted, folded(ref.Issuer))
			if !meets(ref.Recipients, recipients) {
				distance++
			}
			if nearest == nil || distance < least {
				nearest, owner, least = ref, e, distance
			}
		}
	}
	if nearest == nil {
		return ""
	}
	text := fmt.Sprintf("environment %s has iss %s, %s", owner.ID, quoted(nearest.Issuer), listed(nearest.Recipients))
	if why := difference(issuer, recipients, nearest); why != "" {
		text += ": " + why
	}
	return text
}

// difference says in what a token differs from an entry of the configuration,
// where that is one of the usual mistakes.
func difference(issuer string, recipients []playback.Recipient, ref *IssuerRef) string {
	switch {
	case issuer == ref.Issuer:
		return differentRecipient(recipients, ref.Recipients)
	case strings.TrimRight(issuer, "/") == strings.TrimRight(ref.Issuer, "/"):
		return "only the slash at the end of iss differs"
	case strings.EqualFold(issuer, ref.Issuer):
		return "only upper and lower case differ in iss"
	case withoutScheme(issuer) == withoutScheme(ref.Issuer):
		return "only the scheme of iss differs"
	case folded(issuer) == folded(ref.Issuer):
		return "only scheme, case, white space and slashes at the end of iss differ"
	}
	return "iss differs"
}

func differentRecipient(token, configured []playback.Recipient) string {
	inToken := len(token) > 0 && token[0].Claim == playback.RecipientAudience
	inConfiguration := len(configured) > 0 && configured[0].Claim == playback.RecipientAudience
	switch {
	case inToken && !inConfiguration:
		return "client_id_claim is for tokens without aud, and this one has it"
	case !inToken && inConfiguration:
		return "the token has no aud; client_id_claim is for such"
	case inToken:
		return "aud differs"
	}
	return "client_id and azp differ"
}

// meets reports whether two lists have a recipient in common.
func meets(a, b []playback.Recipient) bool {
	for _, r := range a[:min(len(a), maxRecipients)] {
		if slices.Contains(b[:min(len(b), maxRecipients)], r) {
			return true
		}
	}
	return false
}

// folded drops from an issuer what people most often get wrong.
func folded(issuer string) string {
	return strings.TrimRight(withoutScheme(strings.ToLower(strings.TrimSpace(clip(issuer)))), "/")
}

func withoutScheme(issuer string) string {
	return strings.TrimPrefix(strings.TrimPrefix(issuer, "https://"), "http://")
}

// maxCompared bounds the bytes of an issuer that are compared.
const maxCompared = 512

func clip(s string) string { return s[:min(len(s), maxCompared)] }

// differing returns how many bytes of the longer string are neither in the
// beginning nor in the end that both have.
func differing(a, b string) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	start := 0
	for start < len(a) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return len(b) - start - end
}
