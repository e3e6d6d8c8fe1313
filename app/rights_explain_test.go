package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
)

// TestWhatExplainProposesIsDone: every request that the flips of a refusal hold
// is sent as it is, to a gateway that holds what the refused one did, and the
// viewer gets in.
func TestWhatExplainProposesIsDone(t *testing.T) {
	t.Parallel()
	path := write(t, rightsConfiguration())
	dir := filepath.Dir(path)
	put(t, filepath.Join(dir, "policies/acme.yaml"), rightsRules)
	put(t, filepath.Join(dir, "sets/territory.txt"), "DE\n")
	put(t, filepath.Join(dir, "geo/city.mmdb"), geoDatabase(t, "FR"))
	a := started(t, path)
	held := map[string]string{
		"ended":  `{"viewer":{"id":"u1"},"type":"subscription","scope":{"all":true},"from":1600000000,"until":1700000000,"attributes":{"plan":"gold"}}`,
		"later":  `{"viewer":{"id":"u1"},"type":"ticket","scope":{"all":true},"from":4000000000}`,
		"others": `{"viewer":{"id":"u1"},"type":"purchase","scope":{"asset_id":"A2"}}`,
	}
	restore := func() {
		t.Helper()
		for id, body := range held {
			if code, answer := backend(t, a, http.MethodPut, "/v1/grants/"+id, body); code != http.StatusCreated && code != http.StatusOK {
				t.Fatalf("PUT %s: %d %v", id, code, answer)
			}
		}
	}
	mint := func() int {
		t.Helper()
		code, _ := backend(t, a, http.MethodPost, "/v1/tokens", `{"playback_id":"FILM","viewer":{"id":"u1"}}`)
		return code
	}
	restore()
	if code := mint(); code != http.StatusForbidden {
		t.Fatalf("before: %d, want 403", code)
	}
	_, x := backend(t, a, http.MethodPost, "/v1/explain", `{"playback_id":"FILM","viewer":{"id":"u1"}}`)
	why := map[string]any{}
	for _, g := range x["grants_not_in_force"].([]any) {
		g := g.(map[string]any)
		why[g["grant"].(map[string]any)["id"].(string)] = g["why"].([]any)[0].(map[string]any)["code"]
	}
	if fmt.Sprint(why) != "map[ended:ended later:not_begun others:other_scope]" || len(x["grants"].([]any)) != 0 {
		t.Errorf("not in force: %v", why)
	}
	done := 0
	for _, f := range x["types"].([]any)[0].(map[string]any)["rules"].(map[string]any)["flips"].([]any) {
		f := f.(map[string]any)
		for _, c := range f["changes"].([]any) {
			request, ok := c.(map[string]any)["request"].(map[string]any)
			if !ok {
				continue
			}
			body, err := json.Marshal(request["body"])
			if err != nil {
				t.Fatal(err)
			}
			target := request["path"].(string)
			if code, answer := backend(t, a, request["method"].(string), target, string(body)); code != http.StatusOK && code != http.StatusCreated {
				t.Errorf("%s: %d %v", body, code, answer)
			}
			if code := mint(); code != http.StatusOK {
				t.Errorf("%s, and %s was sent: %d", f["text"], body, code)
			}
			if code, _ := backend(t, a, http.MethodDelete, target, ""); code != http.StatusNoContent {
				t.Errorf("DELETE %s: %d", target, code)
			}
			restore()
			if code := mint(); code != http.StatusForbidden {
				t.Errorf("after %s was taken back: %d, want 403", f["text"], code)
			}
			done++
		}
	}
	if done != 4 {
		t.Errorf("%d requests, want one for each grant and one for a new one", done)
	}
}
