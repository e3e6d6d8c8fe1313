package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// endpoint is one way to ask for something of a playback ID.
type endpoint struct {
	name, method string
	path         func(id string) string
	body         func(id string) string
}

func endpoints() []endpoint {
	none := func(string) string { return "" }
	list := []endpoint{
		{"GET token", http.MethodGet, func(id string) string { return "/v1/playback-ids/" + id + "/token" }, none},
		{"GET tokens", http.MethodGet, func(id string) string { return "/v1/playback-ids/" + id + "/tokens" }, none},
		{"POST tokens", http.MethodPost, func(string) string { return "/v1/tokens" }, func(id string) string { return `{"playback_id":"` + id + `"}` }},
	}
	for _, path := range []string{
		"/stream/%s.m3u8", "/stream/%s/720p.mp4", "/stream/%s/audio.m4a", "/stream/%s/text/T1.vtt", "/stream/%s/text/T1.txt",
		"/image/%s/thumbnail.jpg", "/image/%s/thumbnail.png", "/image/%s/thumbnail.webp", "/image/%s/animated.gif", "/image/%s/animated.webp",
		"/image/%s/storyboard.vtt", "/image/%s/storyboard.json", "/image/%s/storyboard.jpg", "/image/%s/storyboard.png", "/image/%s/storyboard.webp",
		"/license/widevine/%s", "/license/fairplay/%s", "/license/playready/%s", "/license/appcert/fairplay/%s", "/stats/counts?playback_id=%s",
	} {
		list = append(list, endpoint{"GET " + path, http.MethodGet, func(id string) string { return fmt.Sprintf(path, id) }, none})
	}
	return list
}

// TestWall walks every pair of environments, every endpoint and every kind of
// caller: what belongs to the other environment does not exist here.
func TestWall(t *testing.T) {
	t.Parallel()
	for _, unknown := range []string{"signed", "deny"} {
		t.Run("unknown "+unknown, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "        catalog: {unknown: "+unknown+"}\n", "one", "two", "three")
			g := start(t, w.files)
			for _, mine := range w.names {
				callers := map[string]string{"backend": basic("tok-" + mine), "viewer": w.viewer(t, mine, "u1")}
				for _, theirs := range w.names {
					if mine == theirs {
						continue
					}
					for kind, authorization := range callers {
						for _, e := range endpoints() {
							wall{g, unknown, mine, theirs, authorization}.walk(t, kind+" "+e.name, e)
						}
					}
				}
			}
		})
	}
}

// wall is one caller in front of another environment.
type wall struct {
	g                             *gateway
	unknown, mine, theirs, caller string
}

func (w wall) walk(t *testing.T, name string, e endpoint) {
	t.Helper()
	ask := func(id string, headers ...string) reply {
		return must(t, e.method, w.g.url+e.path(id), e.body(id), append([]string{"Authorization", w.caller}, headers...)...)
	}
	// The other's Host and this credential do not go together.
	if r := ask("PID"+w.mine, "Host", w.theirs+".example"); r.status != http.StatusUnauthorized || r.code() != "invalid_credentials" {
		t.Errorf("%s of %s at the host of %s: %d %s", name, w.mine, w.theirs, r.status, r.code())
	}
	for _, prefix := range []string{"PID", "PUB", "LIVE"} {
		foreign, nobody := ask(prefix+w.theirs), ask("NOBODY"+prefix)
		if foreign.status != nobody.status || foreign.code() != nobody.code() {
			t.Errorf("%s: %s's %s%s answers %d %s, an unknown ID %d %s", name, w.mine, prefix, w.theirs, foreign.status, foreign.code(), nobody.status, nobody.code())
		}
		if w.unknown == "deny" {
			if foreign.status != http.StatusNotFound || foreign.code() != "unknown_playback_id" {
				t.Errorf("%s: %s's %s%s where the catalogue denies: %d %s", name, w.mine, prefix, w.theirs, foreign.status, foreign.code())
			}
			continue
		}
		token := tokenOf(foreign)
		if token == "" {
			t.Errorf("%s: %s's %s%s is not signed like any unknown ID: %s", name, w.mine, prefix, w.theirs, foreign.body)
			continue
		}
		if kid := claims(t, token)["kid"]; kid != "KEY"+w.mine {
			t.Errorf("%s: %s got a token of key %v", name, w.mine, kid)
		}
	}
}

// tokenOf returns the token of a redirect or of a minting answer.
func tokenOf(r reply) string {
	text := r.header.Get("Location") + string(r.body)
	at := strings.Index(text, "token=")
	if at < 0 {
		return ""
	}
	text = text[at+len("token="):]
	if end := strings.IndexAny(text, `"&`); end >= 0 {
		text = text[:end]
	}
	return text
}

func TestWallByObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "one", "two")
	g := start(t, w.files)
	for _, body := range []string{`{"asset_id":"ASSETtwo"}`, `{"live_stream_id":"STREAMtwo"}`, `{"asset_id":"NOBODY"}`} {
		for _, authorization := range []string{basic("tok-one"), w.viewer(t, "one", "u1")} {
			if r := must(t, http.MethodPost, g.url+"/v1/tokens", body, "Authorization", authorization); r.status != http.StatusNotFound || r.code() != "no_signed_playback_id" {
				t.Errorf("%s: %d %s", body, r.status, r.code())
			}
		}
	}
	// Statistics of what another environment's ID stands for are not to be had.
	r := must(t, http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDtwo","types":["stats_asset"]}`, "Authorization", basic("tok-one"))
	if r.status != http.StatusBadRequest || r.code() != "type_unavailable" {
		t.Errorf("stats_asset of a foreign ID: %d %s", r.status, r.code())
	}
	for _, name := range w.names {
		r := must(t, http.MethodGet, g.url+"/v1/environments/"+name+"/jwks.json", "")
		other := map[string]string{"one": "two", "two": "one"}[name]
		if !strings.Contains(string(r.body), "KEY"+name) || strings.Contains(string(r.body), "KEY"+other) {
			t.Errorf("JWKS of %s: %s", name, r.body)
		}
	}
}

// TestForeignTokensAreNobodysHere: a viewer token of one issuer, replayed with
// the audience and issuer of another, or with the other's key ID.
func TestForeignTokensAreNobodysHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "one", "two")
	g := start(t, w.files)
	provider := w.providers["two"]
	kid := provider.KeyIDs()[0]
	payload := `{"iss":"https://idp.one.example","aud":"one","sub":"u1","exp":4102444800,"iat":4102441200}`
	forged, err := provider.Sign(kid, []byte(`{"alg":"ES256","kid":"`+w.providers["one"].KeyIDs()[0]+`"}`), []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	if r := must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDone/token", "", "Authorization", "Bearer "+forged); r.status != http.StatusUnauthorized {
		t.Errorf("a token of two's key for environment one: %d %s", r.status, r.body)
	}
	parts := strings.Split(strings.TrimPrefix(w.viewer(t, "two", "u1"), "Bearer "), ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(payload))
	if r := must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDone/token", "", "Authorization", "Bearer "+strings.Join(parts, ".")); r.status != http.StatusUnauthorized {
		t.Errorf("two's token with one's claims: %d %s", r.status, r.body)
	}
}
