package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
)

// TestMisspeltNamesAreSuggested: of types, members and parameters, wherever one is
// refused; what resembles nothing gets no suggestion.
func TestMisspeltNamesAreSuggested(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	backend, operator := basicAuth(acmeBackend, secret), basicAuth(acmeOperator, secret)
	get := func(target string) response { return k.get(target, backend) }
	post := func(target, body string) response { return k.post(target, body, backend) }
	put := func(body string) response {
		return k.raw("PUT", message("PUT", "/v1/grants/g1", body, []string{backend, "Content-Type: application/json"}))
	}
	for _, c := range []struct {
		r    response
		code playback.Code
		want string
	}{
		{get("/v1/playback-ids/P/token?type=vidio"), "unknown_type", "type: there is no type vidio; did you mean video?"},
		{get("/v1/playback-ids/P/token?type=drmlicense"), "unknown_type", "type: there is no type drmlicense; did you mean drm_license?"},
		{get("/v1/playback-ids/P/token?type=playbak"), "unknown_type", "type: there is no type playbak; did you mean playback?"},
		{get("/v1/playback-ids/P/token?type=holiday"), "unknown_type", "type: there is no type holiday"},
		{get("/v1/playback-ids/P/token?max_resoluton=720p"), "unknown_param", "max_resoluton: video tokens have no such parameter; did you mean max_resolution?"},
		{get("/v1/playback-ids/P/token?maxResolution=720p"), "unknown_param", "maxResolution: video tokens have no such parameter; did you mean max_resolution?"},
		{get("/v1/playback-ids/P/token?typ=gif"), "unknown_param", "typ: video tokens have no such parameter; did you mean type?"},
		{get("/v1/playback-ids/P/token?min-ttl=5m"), "unknown_param", "min-ttl: video tokens have no such parameter; did you mean min_ttl?"},
		{get("/v1/playback-ids/P/token?type=gif&sesion_id=s"), "unknown_param", "sesion_id: gif tokens have no such parameter; did you mean session_id?"},
		{get("/v1/playback-ids/P/token?utm_source=x"), "unknown_param", "utm_source: video tokens have no such parameter"},
		{get("/v1/playback-ids/P/tokens?mintl=5m"), "unknown_param", "mintl: is not known here"},
		{get("/v1/playback-ids/P/tokens?min_tl=5m"), "unknown_param", "min_tl: is not known here; did you mean min_ttl?"},
		{post("/v1/tokens", `{"playbackId":"P"}`), "invalid_field", "playbackId: is not known; did you mean playback_id?"},
		{post("/v1/tokens", `{"playback_id":"P","parms":null}`), "invalid_field", "parms: is not known; did you mean params?"},
		{post("/v1/tokens", `{"playback_id":"P","what":1}`), "invalid_field", "what: is not known"},
		{post("/v1/tokens", `{"playback_id":"P","types":["video","thumnail"]}`), "unknown_type", "types[1]: there is no type thumnail; did you mean thumbnail?"},
		{post("/v1/tokens", `{"playback_id":"P","types":["thumbnail"],"params":{"thumnail":{}}}`), "invalid_field", "params.thumnail: is not among types; did you mean thumbnail?"},
		{post("/v1/tokens", `{"playback_id":"P","types":["thumbnail"],"params":{"thumbnail":{"heigth":1}}}`), "unknown_param", "params.thumbnail.heigth: thumbnail tokens have no such parameter; did you mean height?"},
		{post("/v1/tokens", `{"playback_id":"P","viewer":{"contry":"DE"}}`), "invalid_field", "viewer.contry: is not known; did you mean country?"},
		{post("/v1/tokens", `{"playback_id":"P","viewer":{"userAgent":null}}`), "invalid_field", "viewer.userAgent: is not known; did you mean user_agent?"},
		{post("/v1/tokens/batch", `{"request":[]}`), "invalid_field", "request: is not known; did you mean requests?"},
		{put(`{"viewers":{"id":"u1"}}`), "invalid_field", "viewers: is not known; did you mean viewer?"},
		{put(`{"viewer":{"isuer":"main"}}`), "invalid_field", "viewer.isuer: is not known; did you mean issuer?"},
		{put(`{"viewer":{"id":"u1"},"type":"rental","scope":{"aset_id":"A1"}}`), "invalid_field", "scope.aset_id: is not known; did you mean asset_id?"},
		{put(`{"viewer":{"id":"u1"},"type":"rentel","scope":{"all":true}}`), "invalid_field", "type: want one of subscription, purchase, rental, ticket; did you mean rental?"},
		{k.post("/v1/policy/promote", `{"revison":"x"}`, operator), "invalid_field", "revison: is not known; did you mean revision?"},
		{k.raw("DELETE", message("DELETE", "/system/v1/signing-keys/K1", `{"forced":true}`, []string{operator, "Content-Type: application/json"})), "invalid_field", "forced: is not known; did you mean force?"},
		{k.post("/v1/explain", `{"playback_id":"P","sesion_id":"s"}`, operator), "invalid_field", "sesion_id: is not known; did you mean session_id?"},
	} {
		k.want(c.r, 400, c.code)
		var e envelope
		if err := json.Unmarshal([]byte(c.r.body), &e); err != nil {
			t.Fatal(err)
		}
		diff(t, "message", strings.Join(e.Error.Messages, "\n"), c.want)
	}
}
