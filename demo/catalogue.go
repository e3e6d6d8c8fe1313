package demo

import (
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
)

// Issuer is the iss of the viewers' JWTs. It names nothing on the network.
const Issuer = "https://idp.playgate.example"

// Viewer is one of the people who try the demo.
type Viewer struct {
	Name        string                 `json:"name"` // the value of #viewer
	Title       string                 `json:"title"`
	About       string                 `json:"about"`
	Environment playback.EnvironmentID `json:"environment"`
	Subject     string                 `json:"subject"`  // sub
	Audience    string                 `json:"audience"` // aud: it chooses the environment
	Claims      map[string]any         `json:"claims"`   // beyond iss, sub, aud, iat, exp
}

// Video is one thing to watch.
type Video struct {
	Name        string                 `json:"name"` // the value of #video
	Title       string                 `json:"title"`
	About       string                 `json:"about"`
	Environment playback.EnvironmentID `json:"environment"`
	PlaybackID  playback.ID            `json:"playback_id"`
	Policy      playback.Policy        `json:"policy"`
	Types       []string               `json:"types"` // what the page asks for
	Live        bool                   `json:"live"`

	status string       // at Mux
	media  muxsim.Media // "" the film
	object string       // asset or live stream ID
}

// Viewers returns the demo's viewers, in the page's order.
func Viewers() []Viewer {
	return []Viewer{
		{
			Name: "premium", Title: "Paula, premium", About: "Pays, and gets whole films, DRM and live streams.",
			Environment: "cinema", Subject: "paula", Audience: "cinema", Claims: map[string]any{"name": "Paula", "plan": "premium"},
		},
		{
			Name: "free", Title: "Finn, free", About: "Gets free films up to 480p, and the first 12 seconds of premium ones.",
			Environment: "cinema", Subject: "finn", Audience: "cinema", Claims: map[string]any{"name": "Finn", "plan": "free"},
		},
		{
			Name: "blocked", Title: "Boris, blocked", About: "Paid once, but his account is blocked: a deny rule wins over every grant.",
			Environment: "cinema", Subject: "boris", Audience: "cinema", Claims: map[string]any{"name": "Boris", "plan": "premium", "blocked": true},
		},
		{
			Name: "pupil", Title: "Sam, pupil", About: "Belongs to the other environment, with keys and rules of its own.",
			Environment: "school", Subject: "sam", Audience: "school", Claims: map[string]any{"name": "Sam", "plan": "pupil"},
		},
	}
}

// Videos returns what there is to watch, in the page's order. A test holds it
// equal to demo.yaml.
func Videos() []Video {
	film := []string{"video", "thumbnail", "storyboard"}
	live := []string{"video", "thumbnail"}
	return []Video{
		{
			Name: "premiere", Title: "The premiere", About: "A premium film with a signed playback ID.",
			Environment: "cinema", PlaybackID: "DemoPremiere01", Policy: playback.PolicySigned, Types: film,
			status: playback.AssetReady, object: "DemoAssetPremiere",
		},
		{
			Name: "short", Title: "The short film", About: "Free for every viewer, up to 480p.",
			Environment: "cinema", PlaybackID: "DemoShort01", Policy: playback.PolicySigned, Types: film,
			status: playback.AssetReady, object: "DemoAssetShort",
		},
		{
			Name: "trailer", Title: "The trailer", About: "A public playback ID: it takes no token, and Mux refuses one.",
			Environment: "cinema", PlaybackID: "DemoTrailer01", Policy: playback.PolicyPublic, Types: film,
			status: playback.AssetReady, object: "DemoAssetTrailer", media: muxsim.Trailer,
		},
		{
			Name: "vault", Title: "From the vault", About: "A DRM playback ID: the manifest and the licence need a token each.",
			Environment: "cinema", PlaybackID: "DemoVault01", Policy: playback.PolicyDRM, Types: append(append([]string(nil), film...), "drm_license"),
			status: playback.AssetReady, object: "DemoAssetVault",
		},
		{
			Name: "live", Title: "Live now", About: "A live stream: the playlist moves on, and so must the token.",
			Environment: "cinema", PlaybackID: "DemoLive01", Policy: playback.PolicySigned, Types: live, Live: true,
			status: playback.LiveStreamActive, object: "DemoStreamRed",
		},
		{
			Name: "off-air", Title: "Off air", About: "A live stream that is disabled: 412, whoever asks.",
			Environment: "cinema", PlaybackID: "DemoOffAir01", Policy: playback.PolicySigned, Types: live, Live: true,
			status: playback.LiveStreamDisabled, object: "DemoStreamBlue",
		},
		{
			Name: "soon", Title: "Still encoding", About: "An asset that Mux is still preparing: 412.",
			Environment: "cinema", PlaybackID: "DemoSoon01", Policy: playback.PolicySigned, Types: film,
			status: playback.AssetPreparing, object: "DemoAssetSoon",
		},
		{
			Name: "lesson", Title: "The lesson", About: "Belongs to the school, and plays on its own pages only (playback restriction).",
			Environment: "school", PlaybackID: "SchoolLesson01", Policy: playback.PolicySigned, Types: film,
			status: playback.AssetReady, object: "SchoolAssetLesson",
		},
	}
}

// Edge returns the environments as the simulated Mux knows them: the same
// playback IDs, the restriction that the rules name, and the gateway's key sets
// in the place of the keys that Mux would have made. The gateway's base URL has
// no trailing slash.
func Edge(gateway string) []muxsim.Environment {
	var out []muxsim.Environment
	for _, id := range []playback.EnvironmentID{"cinema", "school"} {
		env := muxsim.Environment{
			ID:      muxsim.EnvironmentID(id),
			JWKSURL: gateway + "/v1/environments/" + string(id) + "/jwks.json",
			Restrictions: []muxsim.Restriction{
				{ID: "demo-pages", AllowedDomains: []string{"localhost", "*.localhost", "127.0.0.1"}},
			},
		}
		for _, v := range Videos() {
			if v.Environment != id {
				continue
			}
			p := muxsim.PlaybackID{ID: muxsim.ID(v.PlaybackID), Policy: muxsim.Policy(v.Policy), Status: v.status, Media: v.media}
			if v.Live {
				p.LiveStream = muxsim.LiveStreamID(v.object)
			} else {
				p.Asset = muxsim.AssetID(v.object)
			}
			env.PlaybackIDs = append(env.PlaybackIDs, p)
		}
		out = append(out, env)
	}
	return out
}

// viewer returns the viewer of the name.
func viewer(name string) (Viewer, bool) {
	for _, v := range Viewers() {
		if v.Name == name {
			return v, true
		}
	}
	return Viewer{}, false
}
