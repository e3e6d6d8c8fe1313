package playback

// RecipientClaim is a claim of a viewer token that says whom the token is for.
type RecipientClaim string

// The claims that count. The last two do so only in tokens without aud: one that
// has it is for its audience alone (RFC 7519 §4.1.3), whoever asked for it.
const (
	RecipientAudience        RecipientClaim = "aud"       // RFC 7519 §4.1.3
	RecipientClientID        RecipientClaim = "client_id" // RFC 8693 §4.3
	RecipientAuthorizedParty RecipientClaim = "azp"       // OpenID Connect Core §2
)

// Recipient is one of those whom a viewer token of an issuer is for.
type Recipient struct {
	Claim RecipientClaim
	Value string
}
