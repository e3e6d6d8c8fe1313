package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/tenant"
)

// keyWorld is a gateway of environment acme with an access token for operators
// (ID operator) and one that may only read keys (ID reader), and a simulated
// Mux that verifies with the keys it made, and nothing else. The gateway has
// Mux make them, or has no credential there.
func keyWorld(t *testing.T, atMux bool) (*gateway, *muxsim.Sim) {
	t.Helper()
	sim, err := muxsim.New(muxsim.Config{Environments: []muxsim.Environment{{
		ID:           "acme",
		AccessTokens: []muxsim.AccessToken{{ID: "gateway", Secret: secret, Permissions: []string{"system:read", "system:write"}}},
		PlaybackIDs:  []muxsim.PlaybackID{{ID: "PIDacme", Policy: muxsim.Signed, Asset: "ASSETacme"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := httptest.NewServer(sim)
	t.Cleanup(mux.Close)
	extra := "        keys: {prepare_for: 1s}\n"
	if atMux {
		extra += fmt.Sprintf("        mux: {environment_id: acme, token_id: gateway, token_secret_file: mux-secret, base_url: %q}\n", mux.URL)
	}
	w := newWorld(t, extra, "acme")
	w.files["mux-secret"] = secret
	const tokens = "access_tokens: ["
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], tokens, tokens+fmt.Sprintf(
		`{id: operator, name: ops, secret_sha256: %[1]s, permissions: ["system:read", "system:write"]}, {id: reader, secret_sha256: %[1]s, permissions: ["system:read"]}, `,
		tenant.HashSecret(secret).Hex()), 1)
	return start(t, w.files), sim
}

// refused is what an SDK threw.
type refused struct {
	Name   string
	Status int
	Code   string
	Tries  int
}

// TestMuxsSDKManagesKeys points Mux's own SDKs at the gateway, unmodified.
func TestMuxsSDKManagesKeys(t *testing.T) {
	t.Parallel()
	needNode(t)
	for _, c := range []struct {
		sdk   string
		atMux bool
	}{{"15", true}, {"14", true}, {"12", true}, {"15", false}} {
		t.Run(fmt.Sprintf("%s, at Mux %v", c.sdk, c.atMux), func(t *testing.T) {
			t.Parallel()
			g, sim := keyWorld(t, c.atMux)
			var got struct {
				WhoAmI map[string]any
				Before []string
				Key    struct {
					ID        string
					CreatedAt string `json:"created_at"`
					Members   []string
				}
				More    []string
				Listed  []string
				Read    map[string]string
				Token   string
				Deleted []any
				After   []string
				Refused map[string]refused
			}
			node(t, "keys.mjs", map[string]any{
				"sdk": c.sdk, "baseURL": g.url, "tokenId": "operator", "tokenSecret": secret, "playbackId": "PIDacme", "active": "KEYacme", "create": 2,
			}, &got)
			compare := func(what string, got, want any) {
				t.Helper()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got)\n%s", what, diff)
				}
			}
			compare("whoami", got.WhoAmI, map[string]any{
				"access_token_name": "ops", "environment_id": "acme", "environment_name": "", "environment_type": "production",
				"organization_id": "acme", "organization_name": "", "permissions": []any{"system:read", "system:write"},
			})
			compare("before", got.Before, []string{"KEYacme"})
			created, err := strconv.ParseInt(got.Key.CreatedAt, 10, 64)
			if err != nil || time.Since(time.Unix(created, 0)).Abs() > time.Minute {
				t.Errorf("created_at %q: %v", got.Key.CreatedAt, err)
			}
			compare("members", got.Key.Members, []string{"created_at", "id", "private_key"})
			sorted := slices.Sorted(slices.Values(got.Listed))
			compare("listed two by two", sorted, slices.Sorted(slices.Values(append([]string{"KEYacme", got.Key.ID}, got.More...))))
			compare("read", got.Read, map[string]string{"id": got.Key.ID, "created_at": got.Key.CreatedAt})
			compare("after", slices.Sorted(slices.Values(got.After)), slices.Sorted(slices.Values([]string{"KEYacme", got.Key.ID})))
			compare("deleted", len(got.Deleted), 2)
			compare("refused", got.Refused, map[string]refused{
				"unknown": {"NotFoundError", 404, "not_found", 1},
				"gone":    {"NotFoundError", 404, "not_found", 1},
				"again":   {"NotFoundError", 404, "not_found", 1},
				"active":  {"ConflictError", 409, "key_active", 1},
				"secret":  {"AuthenticationError", 401, "invalid_credentials", 1},
				"reader":  {"PermissionDeniedError", 403, "insufficient_permissions", 1},
				"page":    {"BadRequestError", 400, "invalid_param", 1},
			})
			url := "/PIDacme.m3u8?token=" + got.Token
			if verdict := sim.Verify(url, nil); verdict.Allowed() != c.atMux {
				t.Errorf("what the SDK signed with its new key is to Mux: %s", verdict.Reason)
			}
			verifies(t, g, got.Token)
			must(t, http.MethodDelete, g.url+"/system/v1/signing-keys/"+got.Key.ID, "", "Authorization", basic("operator"))
			if verdict := sim.Verify(url, nil); verdict.Allowed() {
				t.Error("Mux opens for a key that was deleted at the gateway")
			}
			if log := g.log.String(); strings.Contains(log, secret) || strings.Contains(log, "PRIVATE KEY") {
				t.Errorf("a secret is in the log:\n%s", log)
			}
		})
	}
}

// TestMuxsOldSDKManagesKeys points version 7 of the SDK at the gateway, which
// has the keys below /video/v1. The key in the file has no creation time.
func TestMuxsOldSDKManagesKeys(t *testing.T) {
	t.Parallel()
	needNode(t)
	g, sim := keyWorld(t, true)
	type key struct {
		ID        string `json:"id"`
		CreatedAt string `json:"created_at"`
	}
	var got struct {
		Before []key
		Key    struct {
			key
			Members []string
		}
		Second  string
		Listed  []string
		Read    key
		Token   string
		Deleted any
		After   []string
		Refused map[string]map[string]string
	}
	node(t, "keys7.mjs", map[string]any{
		"baseURL": g.url, "tokenId": "operator", "tokenSecret": secret, "playbackId": "PIDacme", "active": "KEYacme",
	}, &got)
	compare := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
	for _, k := range append(got.Before, got.Key.key) {
		created, err := strconv.ParseInt(k.CreatedAt, 10, 64)
		if err != nil || time.Since(time.Unix(created, 0)).Abs() > 5*time.Minute {
			t.Errorf("%s was created at %q, want about now: %v", k.ID, k.CreatedAt, err)
		}
	}
	compare("before", len(got.Before), 1)
	compare("members", got.Key.Members, []string{"created_at", "id", "private_key"})
	compare("listed", got.Listed, slices.Sorted(slices.Values([]string{"KEYacme", got.Key.ID, got.Second})))
	compare("read", got.Read, got.Key.key)
	compare("after", got.After, slices.Sorted(slices.Values([]string{"KEYacme", got.Key.ID})))
	compare("refused", got.Refused, map[string]map[string]string{
		"unknown": {"type": "not_found", "code": "not_found"},
		"active":  {"type": "conflict", "code": "key_active"},
		"secret":  {"type": "unauthorized", "code": "invalid_credentials"},
		"reader":  {"type": "forbidden", "code": "insufficient_permissions"},
	})
	if verdict := sim.Verify("/PIDacme.m3u8?token="+got.Token, nil); !verdict.Allowed() {
		t.Errorf("what the SDK signed with its new key is to Mux: %s", verdict.Reason)
	}
	verifies(t, g, got.Token)
	if log := g.log.String(); strings.Contains(log, secret) || strings.Contains(log, "PRIVATE KEY") {
		t.Errorf("a secret is in the log:\n%s", log)
	}
}

// shownKey is a key as GET /v1/signing-keys shows it.
type shownKey struct {
	ID, State                                                  string
	CreatedAt, ActivatedAt, RetiredAt, LastExpiry, DeletableAt *int64
	External                                                   bool
}

func (k *shownKey) UnmarshalJSON(text []byte) error {
	var wire struct {
		ID          string
		State       string
		CreatedAt   *int64 `json:"created_at"`
		ActivatedAt *int64 `json:"activated_at"`
		RetiredAt   *int64 `json:"retired_at"`
		LastExpiry  *int64 `json:"last_expiry"`
		DeletableAt *int64 `json:"deletable_at"`
		External    bool
	}
	if err := json.Unmarshal(text, &wire); err != nil {
		return err
	}
	*k = shownKey(wire)
	return nil
}

// TestAKeysWholeLifeOverHTTP takes a key from its creation to its deletion, and
// Mux must open for every token on the way.
func TestAKeysWholeLifeOverHTTP(t *testing.T) {
	t.Parallel()
	g, sim := keyWorld(t, true)
	operator := func(method, path, body string) reply {
		return must(t, method, g.url+path, body, "Authorization", basic("operator"))
	}
	key := func(id string) shownKey {
		var all []shownKey
		operator(http.MethodGet, "/v1/signing-keys", "").data(t, &all)
		n := slices.IndexFunc(all, func(k shownKey) bool { return k.ID == id })
		if n < 0 {
			t.Fatalf("no key %s in %v", id, all)
		}
		return all[n]
	}
	create := func() string {
		r := operator(http.MethodPost, "/system/v1/signing-keys", "")
		var made struct{ Data struct{ ID string } }
		if err := json.Unmarshal(r.body, &made); err != nil || r.status != http.StatusCreated {
			t.Fatalf("created: %d %v", r.status, err) // never the body
		}
		return made.Data.ID
	}
	mintedBy := func() minted { return mint(t, g, `{"playback_id":"PIDacme"}`) }
	activate := func(id string) {
		t.Helper()
		g.await("the activation of "+id, func() bool {
			r := operator(http.MethodPost, "/v1/signing-keys/"+id+"/activate", "")
			if r.status == http.StatusConflict && r.code() != "key_not_ready" {
				t.Fatalf("activated: %d %s", r.status, r.body)
			}
			return r.status == http.StatusOK
		})
		g.await(id+" to sign", func() bool { return mintedBy().KeyID == id })
	}

	first := create()
	if k := key(first); k.State != "prepared" || k.CreatedAt == nil || k.ActivatedAt != nil || k.RetiredAt != nil || !k.External {
		t.Errorf("new: %+v", k)
	}
	activate(first)
	if k := key("KEYacme"); k.State != "retired" || k.RetiredAt == nil || k.DeletableAt == nil {
		t.Errorf("the key before it: %+v", k)
	}
	m := mintedBy()
	if verdict := sim.Verify(m.Tokens[0].URL, nil); !verdict.Allowed() {
		t.Errorf("Mux refuses the token of the new key: %s", verdict.Reason)
	}
	if k := key(first); k.State != "active" || k.ActivatedAt == nil || k.LastExpiry == nil || *k.LastExpiry < m.Tokens[0].ExpiresAt || k.DeletableAt != nil {
		t.Errorf("active, after a token that expires at %d: %+v", m.Tokens[0].ExpiresAt, k)
	}
	if r := operator(http.MethodDelete, "/system/v1/signing-keys/"+first, `{"force":true,"reason":"even so"}`); r.status != http.StatusConflict || r.code() != "key_active" {
		t.Errorf("deleted while it is active: %d %s", r.status, r.body)
	}

	second := create()
	activate(second)
	r := operator(http.MethodDelete, "/system/v1/signing-keys/"+first, "")
	var conflict struct {
		Error struct {
			DeletableAt string `json:"deletable_at"`
		}
	}
	if err := json.Unmarshal(r.body, &conflict); err != nil || r.status != http.StatusConflict || r.code() != "key_in_use" {
		t.Errorf("deleted while it may be in use: %d %s", r.status, r.body)
	}
	k := key(first)
	if k.State != "retired" || k.DeletableAt == nil || conflict.Error.DeletableAt != strconv.FormatInt(*k.DeletableAt, 10) || *k.DeletableAt <= time.Now().Unix() {
		t.Errorf("retired, deletable at %q: %+v", conflict.Error.DeletableAt, k)
	}
	if verdict := sim.Verify(m.Tokens[0].URL, nil); !verdict.Allowed() {
		t.Errorf("Mux refuses the token of a key that is only retired: %s", verdict.Reason)
	}
	if r := operator(http.MethodDelete, "/system/v1/signing-keys/"+first, `{"force":true,"reason":"it leaked"}`); r.status != http.StatusNoContent || len(r.body) != 0 {
		t.Errorf("deleted by force: %d %s", r.status, r.body)
	}
	if verdict := sim.Verify(m.Tokens[0].URL, nil); verdict.Allowed() {
		t.Error("Mux still opens for the deleted key's token")
	}
	if r := operator(http.MethodGet, "/system/v1/signing-keys/"+first, ""); r.status != http.StatusNotFound {
		t.Errorf("read after its deletion: %d", r.status)
	}
	g.await("the reason of a forced deletion is on record", func() bool { return strings.Contains(g.log.String(), "it leaked") })
}
