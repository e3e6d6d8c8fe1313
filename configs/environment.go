package configs

import (
	"time"

	"github.com/playgate/playgate/playback"
)

// Organization is one tenant.
type Organization struct {
	ID           playback.OrganizationID `yaml:"id" required:"true" grammar:"^[a-z0-9][a-z0-9-]{0,62}$" doc:"Unique in the process."`
	Name         string                  `yaml:"name" default:"" doc:"For people."`
	Environments []Environment           `yaml:"environments" doc:"The walls inside the organization."`
}

// Environment is one environment of an organization.
type Environment struct {
	ID               playback.EnvironmentID  `yaml:"id" required:"true" grammar:"^[a-z0-9][a-z0-9-]{0,62}$" doc:"Unique in the process."`
	Name             string                  `yaml:"name" default:"" doc:"For people, and environment.name in rules."`
	Hosts            []string                `yaml:"hosts" doc:"Hosts that lead here, without ports; unique in the process. stream.<host> and image.<host> serve the redirects at the root."`
	Mux              Mux                     `yaml:"mux" doc:"Mux's API, which makes and deletes signing keys. Without an access token nothing is asked of it."`
	Delivery         Delivery                `yaml:"delivery" doc:"Base URLs of the hosts that serve the media: Mux's, or a custom domain."`
	Token            Token                   `yaml:"token" doc:"The shape and life of tokens."`
	Viewers          []Viewer                `yaml:"viewers" doc:"Issuers of viewer tokens: who may identify a viewer."`
	Anonymous        bool                    `yaml:"anonymous" default:"false" doc:"true: a request without any credential is a viewer with viewer.authenticated == false."`
	ViewerCookie     string                  `yaml:"viewer_cookie" default:"" doc:"Name of a cookie that may carry the viewer token."`
	ViewerQuery      string                  `yaml:"viewer_query" default:"" doc:"Name of a query parameter that may carry it, for <video src>: read on GET and HEAD of redirects and of /v1/playback-ids/… alone."`
	AccessTokens     []AccessToken           `yaml:"access_tokens" doc:"Credentials of backends; playgate access-token create prints such an entry."`
	Catalog          Catalog                 `yaml:"catalog" doc:"What is known of playback IDs, and what an unknown one means."`
	PlaybackIDs      []PlaybackID            `yaml:"playback_ids" doc:"Static entries of the catalogue. Entries that name one asset or live stream share it."`
	PolicyFile       Path                    `yaml:"policy_file" default:"" doc:"YAML file with the rules."`
	Policy           Policy                  `yaml:"policy" doc:"The rules in place, instead of policy_file. No rules at all: everything is denied."`
	PolicyShadowFile Path                    `yaml:"policy_shadow_file" default:"" doc:"YAML file with rules that are asked beside those in force and decide nothing: what they would change is counted, and logged by sample."`
	Shadow           Policy                  // what policy_shadow_file holds
	Webhooks         Webhooks                `yaml:"webhooks" doc:"Webhooks of Mux, which keep the catalogue up to date."`
	Keys             Keys                    `yaml:"keys" doc:"The life of signing keys."`
	Grants           Grants                  `yaml:"grants" doc:"What viewers hold, as backends say by /v1/grants."`
	CORSOrigins      []string                `yaml:"cors_origins" doc:"Origins that may call from a browser, scheme://host[:port], or \"*\"."`
	RateLimits       RateLimits              `yaml:"rate_limits" doc:"Limits per caller, one for each token asked for, as N-S, N-M, N-H or N-D; \"\" means none."`
	Organization     playback.OrganizationID // of which it is one
	_                struct{}                `later:"edge"`
}

// Mux configures the access to Mux's API.
type Mux struct {
	EnvironmentID   string          `yaml:"environment_id" default:"" doc:"Mux's own ID of the environment; if given, an access token of another one is refused."`
	TokenID         string          `yaml:"token_id" default:"" doc:"ID of an access token of Mux with System Write; \"\" means none."`
	TokenSecretFile Path            `yaml:"token_secret_file" secret:"true" default:"" doc:"File with its secret."`
	BaseURL         string          `yaml:"base_url" default:"https://api.mux.com" doc:"Base URL of the API."`
	TokenSecret     playback.Secret // what token_secret_file holds
}

// Enabled reports whether Mux's API can be asked.
func (m *Mux) Enabled() bool { return m.TokenID != "" }

// Keys configures the life of signing keys.
type Keys struct {
	PrepareFor     time.Duration `yaml:"prepare_for" default:"5m" doc:"How long a key is published before it signs, so that every replica and every verifier has it."`
	RotateEvery    time.Duration `yaml:"rotate_every" default:"0" zero:"ok" doc:"How old the active key becomes before the gateway replaces it; 0 means that only people do."`
	RetireAfter    time.Duration `yaml:"retire_after" default:"0" zero:"ok" doc:"How long a key has been retired when the gateway deletes it, here and at Mux, not before its last token has ended; 0 means that only people do."`
	Local          bool          `yaml:"local" default:"false" doc:"true: the schedule makes keys here where there is no mux.token_id. Only for verifiers of the published key set: Mux refuses what such a key signs, on a custom domain, too."`
	ExternalMaxTTL time.Duration `yaml:"external_max_ttl" default:"7d" doc:"How long tokens may live that others signed with a key whose private half they have."`
}

// Grants bounds what viewers hold.
type Grants struct {
	MaxPerViewer int `yaml:"max_per_viewer" default:"1000" min:"1" doc:"How many grants a viewer may have, in force or not; one more is 409 limit_reached."`
}

// Delivery holds the base URLs of the delivery hosts, without a trailing slash.
type Delivery struct {
	Stream  string `yaml:"stream" default:"https://stream.mux.com" doc:"Manifests, renditions, text tracks."`
	Image   string `yaml:"image" default:"https://image.mux.com" doc:"Thumbnails, GIFs, storyboards."`
	License string `yaml:"license" default:"https://license.mux.com" doc:"DRM licences."`
	Stats   string `yaml:"stats" default:"https://stats.mux.com" doc:"Viewer counts."`
	TokenIn string `yaml:"token_in" default:"query" enum:"query" later:"path,cookie" doc:"Where delivery URLs carry the token."`
}

// Token configures the tokens of one environment.
type Token struct {
	DefaultTTL       time.Duration         `yaml:"default_ttl" default:"15m" doc:"Lifetime where a grant has no ttl; at most max_ttl."`
	MaxTTL           time.Duration         `yaml:"max_ttl" default:"24h" doc:"No token lives longer."`
	Kid              playback.KidPlacement `yaml:"kid" default:"claim" enum:"claim,header,both" doc:"Where the key ID stands."`
	Traceable        bool                  `yaml:"traceable" default:"false" later:"true" doc:"true is not available in this version."`
	PseudonymKeyFile Path                  `yaml:"pseudonym_key_file" secret:"true" default:"" doc:"File with the key of pseudonym(); required when a rule uses it. All replicas must share it."`
	PseudonymKey     playback.Secret       // what pseudonym_key_file holds
}

// AccessToken is the credential of a backend.
type AccessToken struct {
	ID           string     `yaml:"id" required:"true" doc:"The user name of Basic; unique in the process."`
	Name         string     `yaml:"name" default:"" doc:"For people."`
	SecretSHA256 SecretHash `yaml:"secret_sha256" required:"true" doc:"SHA-256 of the secret's text as sent in Basic, 64 hexadecimal digits."`
	Permissions  []string   `yaml:"permissions" enum:"video:read,video:write,data:read,data:write,system:read,system:write" doc:"What it may do."`
}

// Catalog configures how unknown playback IDs are seen, and how long known ones
// are believed.
type Catalog struct {
	Unknown string        `yaml:"unknown" default:"signed" enum:"signed,deny,lookup" doc:"signed: sign an unknown playback ID with no metadata; deny: 404; lookup: ask Mux on its first use by somebody who is authenticated, and 404 for others."`
	MaxAge  time.Duration `yaml:"max_age" default:"10m" doc:"How old what Mux said of an asset or live stream in use may be before Mux is asked again, beside the requests. Takes effect with mux.token_id."`
}

// PlaybackID is one static entry of the catalogue.
type PlaybackID struct {
	ID         playback.ID     `yaml:"id" required:"true" grammar:"^[A-Za-z0-9]{1,255}$" doc:"Unique in the environment."`
	Policy     playback.Policy `yaml:"policy" default:"signed" enum:"signed,public,drm" doc:"Its policy at Mux."`
	Asset      *Asset          `yaml:"asset" doc:"The asset behind it. A member given by two entries must be the same."`
	LiveStream *LiveStream     `yaml:"live_stream" doc:"The live stream behind it, likewise."`
}

// Asset is what one entry says of an asset; nil members are unknown.
type Asset struct {
	ID          playback.AssetID `yaml:"id" required:"true" grammar:"^[A-Za-z0-9]{1,255}$" doc:"The asset."`
	Duration    *float64         `yaml:"duration" doc:"Seconds."`
	Status      *string          `yaml:"status" doc:"preparing and errored are refused with 412; nothing else is."`
	Passthrough *string          `yaml:"passthrough" doc:"asset.passthrough in rules."`
	Meta        map[string]any   `yaml:"meta" doc:"asset.meta in rules."`
	CreatedAt   *Time            `yaml:"created_at" doc:"asset.created_at in rules: RFC 3339 or Unix seconds."`
}

// LiveStream is what one entry says of a live stream.
type LiveStream struct {
	ID     playback.LiveStreamID `yaml:"id" required:"true" grammar:"^[A-Za-z0-9]{1,255}$" doc:"The live stream."`
	Status *string               `yaml:"status" doc:"disabled is refused with 412; nothing else is."`
}

// RateLimits are the limits of one environment.
type RateLimits struct {
	Viewer      Rate `yaml:"viewer" default:"120-M" doc:"Per viewer."`
	IP          Rate `yaml:"ip" default:"600-M" doc:"Per IPv4 address or IPv6 /64, for viewer, anonymous and failed requests."`
	AccessToken Rate `yaml:"access_token" default:"60000-M" doc:"Per access token."`
}

// Policy is a rules document as it was found; the policy room compiles it.
type Policy struct {
	// Document is the document's bytes, nil if there are no rules.
	Document []byte
	// File is the absolute path of policy_file; "" if the rules are in place.
	File string
	// Path is the YAML path of the member that holds or names the rules.
	Path string
}
