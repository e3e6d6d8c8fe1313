package muxsim

import (
	"fmt"
	"net/http"
)

// Reason says why a request was served or refused. Mux does not tell; the
// simulator does, in the envelope's message and in X-Muxsim-Reason.
type Reason string

// The reasons, by status (mux.md §1.8).
const (
	OK Reason = "ok" // 200

	InvalidURL      Reason = "invalid_url"       // 400: no layout of Mux's, or an ill-formed ID
	RepeatedParam   Reason = "repeated_param"    // 400
	InvalidParam    Reason = "invalid_param"     // 400: a known parameter or claim of the wrong type or out of range
	ExtraParam      Reason = "extra_param"       // 400: beside a token the query may carry nothing (§1.5)
	TokenOnPublic   Reason = "token_on_public"   // 400 (§1.6; status from the body in mux-node-sdk#84)
	DRMTokenMissing Reason = "drm_token_missing" // 400 //nolint:gosec // G101: a reason, not a credential

	TokenMissing      Reason = "token_missing" // 403, and all that follow
	TokenMalformed    Reason = "token_malformed"
	WrongAlgorithm    Reason = "wrong_algorithm" // not RS256
	KidMissing        Reason = "kid_missing"
	UnknownKey        Reason = "unknown_key" // the environment that owns the ID has no such key
	BadSignature      Reason = "bad_signature"
	ExpMissing        Reason = "exp_missing"
	TokenExpired      Reason = "token_expired"
	NotYetValid       Reason = "not_yet_valid"
	SubMismatch       Reason = "sub_mismatch"
	AudMissing        Reason = "aud_missing"
	AudMismatch       Reason = "aud_mismatch"
	RestrictionAbsent Reason = "restriction_unknown"
	ReferrerDenied    Reason = "referrer_denied"
	UserAgentDenied   Reason = "user_agent_denied"
	NoDRM             Reason = "no_drm"       // the ID is unknown or has no DRM
	LinkInvalid       Reason = "link_invalid" // a rendition or segment URL that this edge did not sign
	LinkExpired       Reason = "link_expired"

	UnknownPlaybackID Reason = "unknown_playback_id" // 404
	UnknownFile       Reason = "unknown_file"        // 404: no such rendition or track

	AssetNotReady      Reason = "asset_not_ready"      // 412
	LiveStreamInactive Reason = "live_stream_inactive" // 412
	OutsideProgram     Reason = "outside_program_time" // 412

	WrongMethod Reason = "method_not_allowed" // 405, HTTP only
)

// reasons lists every Reason, for the counters.
func reasons() []Reason {
	return []Reason{
		OK, InvalidURL, RepeatedParam, InvalidParam, ExtraParam, TokenOnPublic, DRMTokenMissing,
		TokenMissing, TokenMalformed, WrongAlgorithm, KidMissing, UnknownKey, BadSignature, ExpMissing, TokenExpired,
		NotYetValid, SubMismatch, AudMissing, AudMismatch, RestrictionAbsent, ReferrerDenied, UserAgentDenied, NoDRM,
		LinkInvalid, LinkExpired, UnknownPlaybackID, UnknownFile, AssetNotReady, LiveStreamInactive, OutsideProgram, WrongMethod,
	}
}

// Status returns the HTTP status of the reason.
func (r Reason) Status() int {
	switch r {
	case OK:
		return http.StatusOK
	case InvalidURL, RepeatedParam, InvalidParam, ExtraParam, TokenOnPublic, DRMTokenMissing:
		return http.StatusBadRequest
	case TokenMissing, TokenMalformed, WrongAlgorithm, KidMissing, UnknownKey, BadSignature, ExpMissing, TokenExpired, NotYetValid,
		SubMismatch, AudMissing, AudMismatch, RestrictionAbsent, ReferrerDenied, UserAgentDenied, NoDRM, LinkInvalid, LinkExpired:
	case UnknownPlaybackID, UnknownFile:
		return http.StatusNotFound
	case AssetNotReady, LiveStreamInactive, OutsideProgram:
		return http.StatusPreconditionFailed
	case WrongMethod:
		return http.StatusMethodNotAllowed
	}
	return http.StatusForbidden
}

// Verdict is what the edge says to one URL.
type Verdict struct {
	Reason Reason
	Detail string // for people; never holds the token
	// Environment owns the playback ID; "" when the ID is not known.
	Environment EnvironmentID
	PlaybackID  ID
	Key         KeyID // the key that signed the token, "" without a valid one
	Expires     int64 // the token's or the link's end in Unix seconds, 0 none
}

// Status returns the HTTP status: 200, 400, 403, 404 or 412.
func (v Verdict) Status() int { return v.Reason.Status() }

// Allowed reports whether the edge serves the request.
func (v Verdict) Allowed() bool { return v.Reason == OK }

// refusal is a Verdict on its way up; nil means that nothing speaks against.
type refusal struct {
	reason Reason
	detail string
}

func refuse(reason Reason, format string, args ...any) *refusal {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}
