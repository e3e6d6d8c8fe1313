package server

import (
	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// The limits of request bodies in bytes (contract §4).
const (
	maxBody      = 64 << 10
	maxBatchBody = 512 << 10
)

// access says what a request passes before its handler.
type access uint8

const (
	gated     access = iota // every stage of contract §8
	open                    // none: no credential, no limit, no CORS
	signed                  // the webhook's signature, and a limit for who fails at it; no CORS
	system                  // backends with the system permission for the method; no CORS
	known                   // backends, whatever their permissions; no CORS
	managed                 // backends with the video permission for the method; no CORS
	inspected               // backends with system:read, whatever the method: nothing is changed; no CORS
)

// ofBackends reports whether only backends may call.
func (a access) ofBackends() bool { return a != gated && a != open && a != signed }

// bodyUse says what becomes of a request's body.
type bodyUse uint8

const (
	ignored bodyUse = iota // refused if it says that it is too large
	wanted                 // read up to the route's limit: a little before anything else, the rest once the sender is admitted
)

// route is one path with all its methods, as data: newTable compiles it and
// dispatch executes it.
type route struct {
	methods string // separated by spaces; HEAD comes with GET, OPTIONS with all
	path    string // with placeholders, see segment
	handle  handler
	access  access
	body    bodyUse
	limit   int  // of the body, bytes; 0: maxBody
	query   bool // viewer_query is read
	to      target
	mount   bool // path is a prefix
}

// handler answers a request that has passed every stage before its own.
type handler func(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error

// target is where a redirect leads.
type target struct {
	kind playback.TokenType
	host playback.DeliveryHost
	path string // the placeholders are those of the route
	file bool   // a static file, which the rules must grant by name
}

const (
	get     = fiber.MethodGet
	post    = fiber.MethodPost
	put     = fiber.MethodPut
	del     = fiber.MethodDelete
	getPost = get + " " + post
)

// apiRoutes is every path of the gateway's own, in the order of contract §4
// and §6.
func apiRoutes() []route {
	return []route{
		{methods: post, path: "/v1/tokens", handle: postTokens, body: wanted},
		{methods: post, path: "/v1/tokens/batch", handle: postBatch, body: wanted, limit: maxBatchBody},
		{methods: get, path: "/v1/playback-ids/{id}/token", handle: getToken, query: true},
		{methods: get, path: "/v1/playback-ids/{id}/tokens", handle: getTokens, query: true},

		{methods: get, path: "/stream/{id}.m3u8", handle: follow, query: true, to: stream("/{id}.m3u8")},
		{methods: get, path: "/stream/{id}/{rendition}.mp4", handle: follow, query: true, to: file("/{id}/{rendition}.mp4")},
		{methods: get, path: "/stream/{id}/audio.m4a", handle: follow, query: true, to: file("/{id}/audio.m4a")},
		{methods: get, path: "/stream/{id}/text/{track}.vtt", handle: follow, query: true, to: file("/{id}/text/{track}.vtt")},
		{methods: get, path: "/stream/{id}/text/{track}.txt", handle: follow, query: true, to: file("/{id}/text/{track}.txt")},

		{
			methods: get, path: "/image/{id}/thumbnail.{jpg|png|webp}", handle: follow, query: true,
			to: image(playback.Thumbnail, "/{id}/thumbnail.{jpg|png|webp}"),
		},
		{
			methods: get, path: "/image/{id}/animated.{gif|webp}", handle: follow, query: true,
			to: image(playback.GIF, "/{id}/animated.{gif|webp}"),
		},
		{
			methods: get, path: "/image/{id}/storyboard.{vtt|json|jpg|png|webp}", handle: follow, query: true,
			to: image(playback.Storyboard, "/{id}/storyboard.{vtt|json|jpg|png|webp}"),
		},

		{
			methods: getPost, path: "/license/{widevine|fairplay|playready}/{id}", handle: follow, query: true,
			to: license("/license/{widevine|fairplay|playready}/{id}"),
		},
		{methods: get, path: "/license/appcert/fairplay/{id}", handle: follow, query: true, to: license("/appcert/fairplay/{id}")},

		{methods: get, path: "/stats/counts", handle: followCounts, query: true, to: target{host: playback.StatsHost, path: "/counts"}},

		{methods: get, path: "/v1/environments/{env}/jwks.json", handle: getEnvironmentJWKS, access: open},
		{methods: get, path: "/.well-known/jwks.json", handle: getHostJWKS, access: open},

		{methods: getPost, path: "/system/v1/signing-keys", handle: muxKeys, access: system},
		{methods: get + " " + del, path: "/system/v1/signing-keys/{id}", handle: muxKey, access: system, body: wanted},
		// Where Mux's SDKs up to version 7 have them.
		{methods: getPost, path: "/video/v1/signing-keys", handle: muxKeys, access: system},
		{methods: get + " " + del, path: "/video/v1/signing-keys/{id}", handle: muxKey, access: system, body: wanted},
		{methods: get, path: "/system/v1/whoami", handle: getWhoAmI, access: known},
		{methods: get, path: "/v1/signing-keys", handle: getKeys, access: system},
		{methods: post, path: "/v1/signing-keys/{id}/activate", handle: changeKey(KeyManager.Activate), access: system},
		{methods: post, path: "/v1/signing-keys/{id}/retire", handle: changeKey(KeyManager.Retire), access: system},

		{methods: post, path: "/v1/explain", handle: postExplain, access: inspected, body: wanted},
		{methods: get, path: "/v1/policy", handle: getPolicy, access: system},
		{methods: post, path: "/v1/policy/promote", handle: postPromote, access: system, body: wanted},

		{methods: get + " " + put + " " + del, path: "/v1/grants/{id}", handle: oneGrant, access: managed, body: wanted},
		{methods: get, path: "/v1/grants", handle: listGrants, access: managed},

		{methods: post, path: "/v1/webhooks/mux/{environment}", handle: postWebhook, access: signed, body: wanted, limit: maxWebhookBody},
	}
}

func stream(path string) target { return target{playback.Video, playback.StreamHost, path, false} }

func file(path string) target { return target{playback.Video, playback.StreamHost, path, true} }

func image(kind playback.TokenType, path string) target {
	return target{kind, playback.ImageHost, path, false}
}

func license(path string) target {
	return target{playback.DRMLicense, playback.LicenseHost, path, false}
}
