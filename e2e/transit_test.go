package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

// transitWorld is a gateway that has Vault sign, with the policy of
// deploy/vault. Its key KEYacme is in the world's files, too, for whoever wants
// to compare.
func transitWorld(t *testing.T, server *vaulttest.Server) (*world, *gateway) {
	t.Helper()
	server.Transit("transit")
	server.Policy("gateway", vaulttest.Rules(t, "gateway-transit", "secret", "playgate"))
	token := server.Token(&api.TokenCreateRequest{Policies: []string{"gateway"}, NoDefaultPolicy: true, TTL: "10m"})
	store := `
keystore:
  driver: vault
  vault: {address: %q, mode: transit, refresh_interval: 1s, auth: {token_file: %q}}
`
	operator, err := vault.New(vault.Config{
		Address: server.Address, Mode: vault.TransitMode, Mount: "secret", Prefix: "playgate",
		Auth: vault.Auth{Method: vault.TokenMethod, TokenFile: server.File("root-token", server.RootToken)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = operator.Close() }()
	w := drmWorld(t)
	err = operator.Create(context.Background(), "acme", keystore.NewKey{
		ID: "KEYacme", PEM: []byte(w.files["keys/acme/KEYacme.pem"]), Life: keystore.Life{State: keystore.Active},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.files["playgate.yaml"] = fmt.Sprintf(store, server.Address, server.File("gateway-token", token)) + w.files["playgate.yaml"]
	return w, start(t, w.files)
}

// TestTransitTokensAreThoseOfMuxsSDK: what Vault signs is, byte for byte, what
// Mux's SDK signs with the same key.
func TestTransitTokensAreThoseOfMuxsSDK(t *testing.T) {
	t.Parallel()
	needNode(t)
	w, g := transitWorld(t, vaulttest.Dev(t))
	edge := newEdge(t, g)
	var calls []sdkCall
	for _, kind := range sdkKinds() {
		m := mint(t, g, sdkCase{kind: kind}.body(t)).Tokens[0]
		sub := kind.sub
		if sub == "" {
			sub = kind.id
		}
		options := map[string]any{}
		if kind.sdkType != "" {
			options["type"] = kind.sdkType
		}
		calls = append(calls, sdkCall{Name: kind.name, Method: kind.method, ID: sub, Options: options, Exp: m.ExpiresAt, Ours: m.Token})
		if verdict := edge.Verify(m.URL, nil); !verdict.Allowed() {
			t.Errorf("the simulated Mux refuses %s: %s %s", kind.name, verdict.Reason, verdict.Detail)
		}
	}
	var theirs sdkTokens[string]
	node(t, "sdk.mjs", sdkIn(t, w, g, calls), &theirs)
	for n, call := range calls {
		if theirs.Calls[n].V15 != call.Ours {
			t.Errorf("%s: the bytes differ from SDK 15", call.Name)
		}
	}
}

// TestTransitWithoutVault: what is cached goes on being served; what is not is
// refused in time, and signed again when Vault is back.
func TestTransitWithoutVault(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	_, g := transitWorld(t, server)
	ask := func(width int) (reply, time.Duration) {
		begun := time.Now()
		r := must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token?type=thumbnail&width="+strconv.Itoa(width), "", "Authorization", basic("tok-acme"))
		return r, time.Since(begun)
	}
	if r, _ := ask(1); r.status != http.StatusOK {
		t.Fatalf("with Vault: %d %s", r.status, r.body)
	}
	width, slowest := 1, time.Duration(0)
	lost := func(how string) {
		t.Helper()
		for range 10 {
			if r, _ := ask(1); r.status != http.StatusOK || r.header.Get("X-Playgate-Cache") != "hit" {
				t.Errorf("%s: a cached token: %d %s", how, r.status, r.body)
			}
			width++
			r, took := ask(width)
			slowest = max(slowest, took)
			if r.status != http.StatusServiceUnavailable || r.code() != "dependency_unavailable" || r.header.Get("Retry-After") == "" || took > 1500*time.Millisecond {
				t.Errorf("%s: a token that is not cached: %d %s, Retry-After %q, after %s", how, r.status, r.code(), r.header.Get("Retry-After"), took)
			}
		}
		if got := status(g.admin + "/readyz"); got != http.StatusOK {
			t.Errorf("%s: readyz = %d", how, got)
		}
	}
	back := func(how string) {
		t.Helper()
		g.await(how, func() bool {
			width++
			r, _ := ask(width)
			return r.status == http.StatusOK
		})
	}
	server.Seal()
	lost("sealed")
	server.Unseal()
	back("signing after unsealing")
	server.Kill()
	lost("killed")
	server.Restart()
	server.Unseal()
	back("signing after a restart")
	t.Logf("the slowest refusal took %s", slowest)
	if log := g.log.String(); strings.Contains(log, "hvs.") || strings.Contains(log, "PRIVATE KEY") {
		t.Error("the log holds a secret")
	}
}
