package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// joseCheck is what jose.mjs reads, joseVerdict what it answers.
type joseCheck struct {
	Name    string            `json:"name"`
	URL     string            `json:"url"`
	Host    string            `json:"host,omitempty"`
	Token   string            `json:"token"`
	Options map[string]string `json:"options,omitempty"`

	want string // jose's code, "" for a good token
}

type joseVerdict struct {
	Name, Code string
	Header     map[string]any
}

// audiences are the types of which one answer can hold all, with their aud.
func audiences() map[string]string {
	return map[string]string{"video": "v", "thumbnail": "t", "gif": "g", "storyboard": "s", "drm_license": "d", "stats": "playback_id"}
}

const everyType = `"types":["video","thumbnail","gif","storyboard","drm_license","stats"]`

// jose runs the checks and compares.
func jose(t *testing.T, checks []joseCheck) []joseVerdict {
	t.Helper()
	var verdicts []joseVerdict
	node(t, "jose.mjs", map[string]any{"checks": checks}, &verdicts)
	for n, v := range verdicts {
		if v.Code != checks[n].want {
			t.Errorf("%s: jose says %q, want %q", v.Name, v.Code, checks[n].want)
		}
	}
	return verdicts
}

// TestJoseVerifiesWithTheRemoteKeySet lets jose find the key by itself, by path
// and by host, where the header names it.
func TestJoseVerifiesWithTheRemoteKeySet(t *testing.T) {
	t.Parallel()
	needNode(t)
	for mode, header := range map[string]map[string]any{
		"claim":  {"alg": "RS256", "typ": "JWT"},
		"header": {"alg": "RS256", "typ": "JWT", "kid": "KEYacme"},
		"both":   {"alg": "RS256", "typ": "JWT", "kid": "KEYacme"},
	} {
		t.Run("kid in "+mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "        token: {kid: "+mode+"}\n", "acme", "beta")
			w.protect("PIDacme")
			g := start(t, w.files)
			byPath, byHost := g.url+"/v1/environments/acme/jwks.json", g.url+"/.well-known/jwks.json"
			// In a key set of one key a token needs no kid to be verified; where
			// it names one, another environment's key is not even tried.
			foreign := "ERR_JWKS_NO_MATCHING_KEY"
			if mode == "claim" {
				foreign = "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
			}
			var checks []joseCheck
			for _, item := range mint(t, g, `{"playback_id":"PIDacme",`+everyType+`}`).Tokens {
				options := map[string]string{"subject": "PIDacme", "audience": audiences()[item.Type]}
				checks = append(checks,
					joseCheck{Name: item.Type + " by path", URL: byPath, Token: item.Token, Options: options},
					joseCheck{Name: item.Type + " by host", URL: byHost, Host: "acme.example", Token: item.Token, Options: options},
					joseCheck{Name: item.Type + " at the other environment", URL: g.url + "/v1/environments/beta/jwks.json", Token: item.Token, want: foreign},
					joseCheck{Name: item.Type + " at the other host", URL: byHost, Host: "beta.example", Token: item.Token, want: foreign},
					joseCheck{Name: item.Type + " for another ID", URL: byPath, Token: item.Token, Options: map[string]string{"subject": "OTHER"}, want: "ERR_JWT_CLAIM_VALIDATION_FAILED"},
				)
				_, payload := parts(t, item.Token)
				if _, named := payload["kid"]; named != (mode != "header") {
					t.Errorf("%s: the payload is %v", item.Type, payload)
				}
			}
			for _, v := range jose(t, checks) {
				if v.Code != "" {
					continue
				}
				if diff := cmp.Diff(header, v.Header); diff != "" {
					t.Errorf("%s: header (-want +got)\n%s", v.Name, diff)
				}
			}
		})
	}
}

// TestKeySetsOfNobody are key sets that were never asked for by a name they have.
func TestKeySetsOfNobody(t *testing.T) {
	t.Parallel()
	g := start(t, newWorld(t, "", "acme", "beta").files)
	for _, c := range []struct {
		path, host string
		status     int
		code       string
	}{
		{"/.well-known/jwks.json", "nobody.example", http.StatusBadRequest, "environment_unresolved"},
		{"/v1/environments/nobody/jwks.json", "acme.example", http.StatusNotFound, "not_found"},
		{"/v1/environments/NOBODY!/jwks.json", "acme.example", http.StatusNotFound, "not_found"},
	} {
		if r := must(t, http.MethodGet, g.url+c.path, "", "Host", c.host); r.status != c.status || r.code() != c.code {
			t.Errorf("%s at %s: status %d %s, want %d %s", c.path, c.host, r.status, r.code(), c.status, c.code)
		}
	}
}

// TestTwoPublishedKeysNeedTheKidInTheHeader is why check-config warns of
// `token.kid: claim` where two keys are published.
func TestTwoPublishedKeysNeedTheKidInTheHeader(t *testing.T) {
	t.Parallel()
	needNode(t)
	for mode, want := range map[string]string{"claim": "ERR_JWKS_MULTIPLE_MATCHING_KEYS", "header": "", "both": ""} {
		t.Run("kid in "+mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "        token: {kid: "+mode+"}\n", "acme")
			w.files["keys/acme/KEYacme.json"] = `{"state":"active","activated_at":1700000000}`
			w.files["keys/acme/NEXT.pem"], w.files["keys/acme/NEXT.json"] = newKey(t), `{"state":"prepared"}`
			g := start(t, w.files)
			token := mint(t, g, `{"playback_id":"PIDacme"}`).Tokens[0].Token
			jose(t, []joseCheck{{Name: "two keys", URL: g.url + "/v1/environments/acme/jwks.json", Token: token, want: want}})
		})
	}
}

// TestKeySetIsCacheable is what contract §6 promises to verifiers that poll.
func TestKeySetIsCacheable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	w.files["keys/acme/KEYacme.json"] = `{"state":"active","activated_at":1700000000}`
	g := start(t, w.files)
	forms := []struct{ url, host string }{{g.url + "/v1/environments/acme/jwks.json", "acme.example"}, {g.url + "/.well-known/jwks.json", "ACME.example.:8443"}}
	first := map[string]string{}
	for _, f := range forms {
		r := must(t, http.MethodGet, f.url, "", "Host", f.host)
		etag := r.header.Get("ETag")
		if r.status != http.StatusOK || etag == "" || r.header.Get("Cache-Control") != "public, max-age=60" {
			t.Fatalf("%s: status %d, %v", f.url, r.status, r.header)
		}
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(r.body, &set); err != nil || len(set.Keys) != 1 {
			t.Fatalf("%v: %s", err, r.body)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := set.Keys[0][private]; there {
				t.Errorf("%s publishes %s", f.url, private)
			}
		}
		if k := set.Keys[0]; k["kty"] != "RSA" || k["kid"] != "KEYacme" || k["alg"] != "RS256" || k["use"] != "sig" {
			t.Errorf("%s: %v", f.url, k)
		}
		for _, sent := range []string{etag, `"other", ` + etag, "W/" + etag, "*"} {
			again := must(t, http.MethodGet, f.url, "", "Host", f.host, "If-None-Match", sent)
			if again.status != http.StatusNotModified || len(again.body) > 0 || again.header.Get("ETag") != etag || again.header.Get("Cache-Control") != "public, max-age=60" {
				t.Errorf("%s with If-None-Match %s: status %d, %v %q", f.url, sent, again.status, again.header, again.body)
			}
		}
		if changed := must(t, http.MethodGet, f.url, "", "Host", f.host, "If-None-Match", `"other"`); changed.status != http.StatusOK {
			t.Errorf("%s with another ETag: status %d", f.url, changed.status)
		}
		if head := must(t, http.MethodHead, f.url, "", "Host", f.host); head.status != http.StatusOK || len(head.body) > 0 || head.header.Get("ETag") != etag || head.header.Get("Content-Length") != r.header.Get("Content-Length") {
			t.Errorf("HEAD %s: status %d, %v", f.url, head.status, head.header)
		}
		first[f.url] = etag
	}
	if status := must(t, http.MethodGet, forms[1].url, "", "Host", "nobody.example").status; status != http.StatusOK {
		t.Errorf("the only environment's key set under another host: status %d", status)
	}
	// Another key is another entity.
	g.write("keys/acme/NEXT.json", `{"state":"prepared"}`)
	g.write("keys/acme/NEXT.pem", newKey(t))
	for _, f := range forms {
		g.await("the key set with the prepared key", func() bool {
			r, err := call(http.MethodGet, f.url, "", "Host", f.host, "If-None-Match", first[f.url])
			return err == nil && r.status == http.StatusOK && r.header.Get("ETag") != first[f.url]
		})
	}
}
