package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore/vault/vaulttest"
)

// outage is longer than a gateway takes to call its keys stale (a minute).
const outage = 65 * time.Second

// askedFor is how requests went that were made at a steady pace.
type askedFor struct {
	mu     sync.Mutex
	took   []time.Duration
	failed []string
	marked int   // said to be made without the key store
	least  int64 // the shortest life of a marked answer, seconds
}

// steadily asks for tokens, fifty a second, until stop is called.
func steadily(g *gateway) (result *askedFor, stop func()) {
	result = &askedFor{}
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
				all.Go(func() { result.ask(g, n%500) }) // some of memory, some signed
			}
		}
	})
	return result, func() { close(done); all.Wait() }
}

func (a *askedFor) ask(g *gateway, n int) {
	begun := time.Now()
	r, err := call(http.MethodPost, g.url+"/v1/tokens", fmt.Sprintf(`{"playback_id":"N%d"}`, n), "Authorization", basic("tok-acme"))
	took := time.Since(begun)
	var m minted
	if err == nil {
		err = r.decode(&m)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.took = append(a.took, took)
	switch {
	case err != nil || r.status != http.StatusOK || len(m.Tokens) != 1:
		a.failed = append(a.failed, fmt.Sprint(r.status, " ", err, " ", string(r.body)))
	case r.header.Get("X-Playgate-Degraded") == "keys":
		if life := m.Tokens[0].ExpiresAt - begun.Unix(); a.marked == 0 || life < a.least {
			a.least = life
		}
		a.marked++
	}
}

// TestAnOutageOfVaultFailsNobody kills Vault for longer than it takes to be
// noticed by clients, seals it, and brings it back, while tokens are asked for.
func TestAnOutageOfVaultFailsNobody(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	w := newWorld(t, "        token: {default_ttl: 90s, max_ttl: 2m}\n", "acme")
	delete(w.files, "keys/acme/KEYacme.pem")
	w.files["playgate.yaml"] = vaultStore(t, server) + w.files["playgate.yaml"]
	putKey(t, server.Client(), "ONLY", newKey(t), "active", 1_700_000_000)
	g := start(t, w.files)
	degraded := func() bool {
		r := must(t, http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDacme"}`, "Authorization", basic("tok-acme"))
		return r.header.Get("X-Playgate-Degraded") == "keys"
	}
	before, stop := steadily(g)
	time.Sleep(5 * time.Second)
	stop()
	during, stop := steadily(g)
	server.Kill()
	time.Sleep(outage)
	if !degraded() {
		t.Error("answers do not say that the key store has been lost for more than a minute")
	}
	ready := must(t, http.MethodGet, g.admin+"/readyz", "")
	if ready.status != http.StatusOK || !strings.Contains(string(ready.body), "keys were last read") {
		t.Errorf("readyz without Vault: %d %s", ready.status, ready.body)
	}
	server.Restart() // sealed
	time.Sleep(2 * time.Second)
	server.Unseal()
	g.await("the end of the outage", func() bool { return !degraded() })
	stop()
	for _, result := range []*askedFor{before, during} {
		if len(result.failed) > 0 {
			t.Errorf("%d of %d failed, the first: %s", len(result.failed), len(result.took), result.failed[0])
		}
	}
	if during.marked == 0 || during.least <= 0 || during.least >= 90 {
		t.Errorf("%d answers are marked, and live %d s or more: want less than the 90 s of other times", during.marked, during.least)
	}
	t.Logf("%d answers before, p99 %s; %d around the outage, p99 %s, %d of them marked", len(before.took), p99(before.took), len(during.took), p99(during.took), during.marked)
}

// TestAWithdrawnKeySignsNoMore: one look at the keys and a second after it was
// withdrawn.
func TestAWithdrawnKeySignsNoMore(t *testing.T) {
	t.Parallel()
	server := vaulttest.Durable(t)
	w := newWorld(t, "", "acme")
	delete(w.files, "keys/acme/KEYacme.pem")
	w.files["playgate.yaml"] = vaultStore(t, server) + w.files["playgate.yaml"]
	client := server.Client()
	putKey(t, client, "ONLY", newKey(t), "active", 1_700_000_000)
	g := start(t, w.files)
	const refreshInterval = time.Second // vaultStore's
	promised := refreshInterval + time.Second
	if raceEnabled {
		promised *= 2 // everything takes longer
	}
	var slowest []time.Duration
	for n := range 3 {
		withdrawn := time.Now()
		if err := client.KVv2("secret").Delete(context.Background(), "playgate/acme/signing-keys/ONLY"); err != nil {
			t.Fatal(err)
		}
		var last time.Time // when a request was made that got a token
		for time.Since(withdrawn) < 2*promised {
			at := time.Now()
			r, err := call(http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDacme"}`, "Authorization", basic("tok-acme"))
			if err == nil && r.status == http.StatusOK {
				last = at
			}
			time.Sleep(5 * time.Millisecond)
		}
		slowest = append(slowest, last.Sub(withdrawn))
		if err := client.KVv2("secret").Undelete(context.Background(), "playgate/acme/signing-keys/ONLY", []int{1}); err != nil {
			t.Fatal(err)
		}
		g.await(fmt.Sprint("the key's return, ", n), func() bool {
			r, err := call(http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDacme"}`, "Authorization", basic("tok-acme"))
			return err == nil && r.status == http.StatusOK
		})
	}
	if most := slices.Max(slowest); most > promised {
		t.Errorf("the last token was handed out %s after the key was withdrawn", most)
	}
	t.Logf("the last token was handed out after %v", slowest)
}
