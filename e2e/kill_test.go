package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

// TestKillingKeysCreateAtEachWrite kills the command while it waits for each of
// its writes to Vault, made or not: the journal, the key's ID in it, the key, the
// journal's end.
func TestKillingKeysCreateAtEachWrite(t *testing.T) {
	t.Parallel()
	server := vaulttest.Dev(t)
	const writes = 4
	for n := range int64(writes) {
		for _, made := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, made %v", n+1, made), func(t *testing.T) {
				t.Parallel()
				killAtWrite(t, server.For(t), n+1, made)
			})
		}
	}
}

func killAtWrite(t *testing.T, server *vaulttest.Server, n int64, made bool) {
	t.Helper()
	target, err := url.Parse(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	var writes atomic.Int64
	var hang atomic.Bool
	hang.Store(true)
	reached, killed := make(chan struct{}), make(chan struct{})
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write := r.Method == http.MethodPut || r.Method == http.MethodPost
		if !write || !hang.Load() || writes.Add(1) != n {
			forward.ServeHTTP(w, r)
			return
		}
		if made {
			forward.ServeHTTP(httptest.NewRecorder(), r)
		}
		close(reached)
		<-killed
	}))
	t.Cleanup(proxy.Close)

	_, mux, _ := muxOf(t)
	c := commandsOnVault(t, server, proxy.URL, mux, fmt.Sprintf("kill-%d-%v", n, made))
	create := c.command("create")
	if err := create.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reached:
	case <-time.After(20 * time.Second):
		t.Error("the command never got that far")
	}
	_ = create.Process.Kill()
	_ = create.Wait()
	hang.Store(false)
	close(killed)

	last := c.must("", "create")
	ids := atMux(t, mux)
	list := c.must("", "list")
	for _, id := range ids {
		if !strings.Contains(list, id) {
			t.Errorf("key %s is at Mux, and nobody has it:\n%s", id, list)
		}
	}
	if got := strings.Count(list, "prepared"); got != len(ids) || !slices.Contains(ids, last) {
		t.Errorf("%d keys are stored, and these are at Mux: %v\n%s", got, ids, list)
	}
	// The key is whole from the third write on, though the command was killed.
	if whole := n == 3 && made || n == 4; (len(ids) == 2) != whole {
		t.Errorf("%d keys at Mux, whole %v", len(ids), whole)
	}
}

// commandsOnVault runs playgate in a folder whose key store is a prefix of Vault.
func commandsOnVault(t *testing.T, server *vaulttest.Server, address, mux, prefix string) *commands {
	t.Helper()
	content := keyFiles(t, "keys", mux, "")
	_, rest, _ := strings.Cut(content["playgate.yaml"], "\n")
	content["playgate.yaml"] = fmt.Sprintf("keystore: {driver: vault, vault: {address: %q, prefix: %s, auth: {token_file: %q}}}\n",
		address, prefix, server.File("root-token", server.RootToken)) + rest
	return newCommands(t, content)
}

// TestAWithdrawnKeyIsDeletedOnTheCommandLine: soft-deleted in Vault, its tokens
// are still good at Mux.
func TestAWithdrawnKeyIsDeletedOnTheCommandLine(t *testing.T) {
	t.Parallel()
	server := vaulttest.Dev(t)
	_, mux, _ := muxOf(t)
	c := commandsOnVault(t, server, server.Address, mux, "withdrawn")
	id := c.must("", "create")
	path := "withdrawn/acme/signing-keys/" + id
	if err := server.Client().KVv2("secret").Delete(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	c.refused("may be valid until", "delete", id)
	if !strings.Contains(c.must("", "delete", id, "--force", "--reason", "it leaked"), "is deleted") {
		t.Error("it does not say so")
	}
	if got := atMux(t, mux); len(got) != 0 {
		t.Errorf("at Mux: %v", got)
	}
	if _, err := server.Client().KVv2("secret").GetMetadata(t.Context(), path); err == nil {
		t.Error("its entry is still in Vault")
	}
	if !strings.Contains(c.must("", "delete", id), "nothing to delete") {
		t.Error("once more it does not say that there is nothing to delete")
	}
}
