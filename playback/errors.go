package playback

import (
	"fmt"
	"time"
)

// Kind is the `type` of Mux's error envelope; each kind is one HTTP status.
type Kind string

// The kinds of contract §8.
const (
	InvalidParameters    Kind = "invalid_parameters"     // 400
	Unauthorized         Kind = "unauthorized"           // 401
	Forbidden            Kind = "forbidden"              // 403
	NotFound             Kind = "not_found"              // 404
	MethodNotAllowed     Kind = "method_not_allowed"     // 405
	Conflict             Kind = "conflict"               // 409
	PreconditionFailed   Kind = "precondition_failed"    // 412
	PayloadTooLarge      Kind = "payload_too_large"      // 413
	UnsupportedMediaType Kind = "unsupported_media_type" // 415
	TooManyRequests      Kind = "too_many_requests"      // 429
	HeadersTooLarge      Kind = "headers_too_large"      // 431
	InternalError        Kind = "internal_error"         // 500
	ServiceUnavailable   Kind = "service_unavailable"    // 503
)

// Code is the stable reason that clients may branch on. It is an error by
// itself, so that errors.Is(err, playback.CodeRateLimited) reads naturally.
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// The codes of contract §8. A deny rule's reason is a Code too.
const (
	CodeMissingCredentials      Code = "missing_credentials"
	CodeInvalidCredentials      Code = "invalid_credentials"
	CodeExpiredCredentials      Code = "expired_credentials"
	CodeIssuerUnavailable       Code = "issuer_unavailable"
	CodeInsufficientPermissions Code = "insufficient_permissions"
	CodeCrossSite               Code = "cross_site"
	CodeEnvironmentUnresolved   Code = "environment_unresolved"
	CodeUnknownPlaybackID       Code = "unknown_playback_id"
	CodeNoSignedPlaybackID      Code = "no_signed_playback_id"
	CodeAssetNotReady           Code = "asset_not_ready"
	CodeLiveStreamDisabled      Code = "live_stream_disabled"
	CodeNoMatchingRule          Code = "no_matching_rule"
	CodePolicyError             Code = "policy_error"
	CodeTypeNotGranted          Code = "type_not_granted"
	CodeParamNotGranted         Code = "param_not_granted"
	CodeInvalidPlaybackID       Code = "invalid_playback_id"
	CodeInvalidJSON             Code = "invalid_json"
	CodeInvalidField            Code = "invalid_field"
	CodeUnknownType             Code = "unknown_type"
	CodeTypeUnavailable         Code = "type_unavailable"
	CodeUnknownParam            Code = "unknown_param"
	CodeInvalidParam            Code = "invalid_param"
	CodeReservedClaim           Code = "reserved_claim"
	CodeMinTTLTooLong           Code = "min_ttl_too_long"
	CodeRateLimited             Code = "rate_limited"
	CodeSigningOverloaded       Code = "signing_overloaded"
	CodeNoActiveKey             Code = "no_active_key"
	CodeDependencyUnavailable   Code = "dependency_unavailable"
	CodeKeyInUse                Code = "key_in_use"
	CodeKeyActive               Code = "key_active"
	CodeLimitReached            Code = "limit_reached"
	CodeNotFound                Code = "not_found"
	CodeMethodNotAllowed        Code = "method_not_allowed"
	CodePayloadTooLarge         Code = "payload_too_large"
	CodeHeadersTooLarge         Code = "headers_too_large"
	CodeUnsupportedMediaType    Code = "unsupported_media_type"
	CodeInternalError           Code = "internal_error"
)

// Additions to the codes of contract §8: what else stands in the way of an
// operation on a signing key or on the rules.
const (
	// CodeKeyNotReady: it was not prepared for as long as keys.prepare_for says.
	CodeKeyNotReady Code = "key_not_ready"
	// CodeKeyState: the key's state has no such transition.
	CodeKeyState Code = "key_state"
	// CodeKeyBusy: another operation on the environment's keys is under way.
	CodeKeyBusy Code = "key_busy"
	// CodePolicyConflict: the shadow policy cannot be put in force.
	CodePolicyConflict Code = "policy_conflict"
)

// CodeDoc describes one code: the table behind the error envelope and behind
// docs/errors.md.
type CodeDoc struct {
	Code    Code
	Kind    Kind
	Meaning string
}

// Codes returns the whole table, in the order of the documentation.
func Codes() []CodeDoc { return append([]CodeDoc(nil), codes[:]...) }

var codes = [...]CodeDoc{ //nolint:gochecknoglobals // a constant table
	{CodeMissingCredentials, Unauthorized, "No credential was sent and the environment does not admit anonymous viewers."},
	{CodeInvalidCredentials, Unauthorized, "The credential is unreadable, unknown, not yet valid, wrongly signed, or belongs to another environment than the Host."},
	{CodeExpiredCredentials, Unauthorized, "The viewer token has expired; fetch a new one from the identity provider."},
	{CodeIssuerUnavailable, ServiceUnavailable, "The issuer's key set was never loaded, or is too old by now, so no viewer token of it can be checked."},
	{CodeInsufficientPermissions, Forbidden, "The access token lacks the permission, or a viewer said who the viewer is, which only a backend may."},
	{CodeCrossSite, Forbidden, "A cookie counts only from this site and cors_origins: Origin, or else Sec-Fetch-Site, must say so."},
	{CodeEnvironmentUnresolved, InvalidParameters, "Neither the credential nor the Host says which environment is meant."},
	{CodeUnknownPlaybackID, NotFound, "The environment has no such playback ID (catalog.unknown: deny)."},
	{CodeNoSignedPlaybackID, NotFound, "The asset or live stream is unknown here or has no signed or DRM playback ID; for statistics alone, no playback ID at all."},
	{CodeAssetNotReady, PreconditionFailed, "The asset is still preparing or has errored."},
	{CodeLiveStreamDisabled, PreconditionFailed, "The live stream is disabled."},
	{CodeNoMatchingRule, Forbidden, "No allow rule matched this viewer and playback ID."},
	{CodePolicyError, Forbidden, "A rule could not be evaluated; it denies, to be safe."},
	{CodeTypeNotGranted, Forbidden, "A rule allows the viewer, but not this type of token or this file."},
	{CodeParamNotGranted, Forbidden, "A rule allows the viewer, but not to choose this parameter, or not this value: it shows more than the part of the video that the rule gives."},
	{CodeInvalidPlaybackID, InvalidParameters, "A playback ID is 1 to 255 letters and digits."},
	{CodeInvalidJSON, InvalidParameters, "The body is not well-formed JSON in UTF-8."},
	{CodeInvalidField, InvalidParameters, "A field is unknown, repeated, missing, of the wrong type or out of bounds; the message names its path."},
	{CodeUnknownType, InvalidParameters, "No such token type."},
	{CodeTypeUnavailable, InvalidParameters, "The ID has no such token or file: no asset or live stream is known behind it, it has no DRM, it is drm and has no static renditions, or stats_video was not asked by video_id."},
	{CodeUnknownParam, InvalidParameters, "Mux has no such parameter for this type."},
	{CodeInvalidParam, InvalidParameters, "The parameter's value is out of its range, malformed, repeated or contradicts another one."},
	{CodeReservedClaim, InvalidParameters, "The name is a claim that only the gateway sets."},
	{CodeMinTTLTooLong, InvalidParameters, "No token can live as long as min_ttl asks under the rule that applies."},
	{CodeRateLimited, TooManyRequests, "Too many tokens were asked for; wait for Retry-After."},
	{CodeSigningOverloaded, ServiceUnavailable, "The signing queue is full; wait for Retry-After."},
	{CodeNoActiveKey, ServiceUnavailable, "The environment has no signing key that is active."},
	{CodeDependencyUnavailable, ServiceUnavailable, "Something that the request needs, such as Vault or Mux's API, does not answer; wait for Retry-After."},
	{CodeKeyInUse, Conflict, "Tokens of the signing key may still be valid until deletable_at; force and a reason delete it before."},
	{CodeKeyActive, Conflict, "The signing key is the active one; activate another key first."},
	{CodeLimitReached, Conflict, "There are as many as there may be, such as grants of one viewer (grants.max_per_viewer); delete one first."},
	{CodeKeyNotReady, Conflict, "The signing key was published only recently: keys.prepare_for must pass before it signs."},
	{CodeKeyState, Conflict, "The signing key's state does not allow this; the message says which one does."},
	{CodeKeyBusy, Conflict, "Another operation on the environment's signing keys is under way; ask again."},
	{CodePolicyConflict, Conflict, "There is no shadow policy, it is another revision than was meant, or its file cannot replace that of the policy in force."},
	{CodeNotFound, NotFound, "No such route, environment, signing key or grant."},
	{CodeMethodNotAllowed, MethodNotAllowed, "The route exists, but not for this method; Allow lists those it has."},
	{CodePayloadTooLarge, PayloadTooLarge, "The body is larger than the route accepts."},
	{CodeHeadersTooLarge, HeadersTooLarge, "The request line and headers are larger than 16 KiB."},
	{CodeUnsupportedMediaType, UnsupportedMediaType, "The body must be sent as application/json."},
	{CodeInternalError, InternalError, "A bug in the gateway; the log has the cause under the request ID."},
}

// kindOf returns the kind of a code; a code outside the table is the reason of
// a deny rule.
func kindOf(code Code) Kind {
	for i := range codes {
		if codes[i].Code == code {
			return codes[i].Kind
		}
	}
	return Forbidden
}

// Error is a refusal or failure with everything the border needs: what the
// client may know (Kind, Code, Message, RetryAfter) and what only the log may
// (Err).
type Error struct {
	Kind       Kind
	Code       Code
	Message    string        // public: no rule text, no secret, no internals
	RetryAfter time.Duration // 0: none; rounded up to seconds on the wire
	// DeletableAt is from when on the refused deletion will be granted; zero
	// says nothing of it.
	DeletableAt time.Time
	// AvailableFrom is from when on the same question will be answered yes; zero
	// promises nothing.
	AvailableFrom time.Time
	// Localized are texts of the operator's own for the viewer, in place of
	// Message. Shared, never written.
	Localized []Message
	Err       error // private cause, may be nil
}

// Message is a text for viewers in one language.
type Message struct {
	Language string // a BCP 47 tag, such as en or pt-BR
	Text     string
}

// Errorf returns an Error of the code's kind with a public message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Kind: kindOf(code), Code: code, Message: fmt.Sprintf(format, args...)}
}

// Denied returns the refusal of a deny rule: 403 with the rule's own reason.
func Denied(reason Code) *Error {
	return &Error{Kind: Forbidden, Code: reason, Message: "Playback is not allowed."}
}

// Because returns a copy that carries a private cause.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// After returns a copy that asks the client to wait for d.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error returns code, message and cause: text for the log, never for clients.
func (e *Error) Error() string {
	if e.Err != nil {
		return string(e.Code) + ": " + e.Message + ": " + e.Err.Error()
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap makes both the code and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}
