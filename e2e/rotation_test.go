package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore/vault/vaulttest"
	"github.com/playgate/playgate/muxsim"
)

// muxOf returns a simulated Mux for environment acme that verifies with the
// keys that it made, its address, and how often it was asked for a key.
func muxOf(t *testing.T) (*muxsim.Sim, string, *atomic.Int64) {
	t.Helper()
	sim, err := muxsim.New(muxsim.Config{Environments: []muxsim.Environment{{
		ID:           "acme",
		AccessTokens: []muxsim.AccessToken{{ID: "gateway", Secret: secret, Permissions: []string{"system:read", "system:write"}}},
		PlaybackIDs:  []muxsim.PlaybackID{{ID: "PIDacme", Policy: muxsim.Signed, Asset: "ASSETacme"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	posts := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
		}
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return sim, server.URL, posts
}

// atMux returns the IDs of the keys that a simulated Mux has.
func atMux(t *testing.T, url string) []string {
	t.Helper()
	var list []struct{ ID string }
	must(t, http.MethodGet, url+"/system/v1/signing-keys", "", "Authorization", basic("gateway")).data(t, &list)
	var ids []string
	for _, key := range list {
		ids = append(ids, key.ID)
	}
	slices.Sort(ids)
	return ids
}

// keyFiles returns a configuration of environment acme whose keys are the given
// folder's and Mux's.
func keyFiles(t *testing.T, keys, mux, settings string) files {
	t.Helper()
	w := newWorld(t, fmt.Sprintf(`
        mux: {environment_id: acme, token_id: gateway, token_secret_file: mux-secret, base_url: %q}
%s`, mux, settings), "acme")
	delete(w.files, "keys/acme/KEYacme.pem")
	w.files["mux-secret"] = secret
	w.files["playgate.yaml"] = fmt.Sprintf("keystore: {file: {dir: %q}}\n", keys) + w.files["playgate.yaml"]
	return w.files
}

// tokensAtMux holds what gateways handed out until it ends: Mux must open for
// each of them from beginning to end.
type tokensAtMux struct {
	sim *muxsim.Sim

	mu    sync.Mutex
	ends  map[string]int64 // by URL
	keys  map[string]bool
	bad   []string
	asked []asked
}

// asked is one answer: when it was asked for, how long it took, and the key.
type asked struct {
	at   time.Time
	took time.Duration
	key  string
}

func (a *tokensAtMux) take(m *minted, at time.Time, took time.Duration) {
	a.check(m.Tokens[0].URL, "fresh")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, asked{at, took, m.KeyID})
	a.keys[m.KeyID] = true
	for _, token := range m.Tokens {
		a.ends[token.URL] = claimExp(token.Token)
	}
}

func (a *tokensAtMux) check(url, when string) {
	if verdict := a.sim.Verify(url, nil); !verdict.Allowed() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.bad = append(a.bad, when+": "+string(verdict.Reason))
	}
}

// checkAgain asks Mux about every token that has not ended.
func (a *tokensAtMux) checkAgain() {
	a.mu.Lock()
	ends := make(map[string]int64, len(a.ends))
	for url, end := range a.ends {
		if end <= time.Now().Unix()+1 {
			delete(a.ends, url)
			continue
		}
		ends[url] = end
	}
	a.mu.Unlock()
	for url := range ends {
		a.check(url, "later")
	}
}

// paces returns the 99th percentile of the time that answers took within two
// seconds of the moment when a key first signed, and of all others.
func (a *tokensAtMux) paces() (switching, steady time.Duration) {
	first := map[string]time.Time{}
	for _, one := range a.asked {
		if at, ok := first[one.key]; !ok || one.at.Before(at) {
			first[one.key] = one.at
		}
	}
	begin := slices.MinFunc(slices.Collect(maps.Values(first)), time.Time.Compare)
	var near, far []time.Duration
	for _, one := range a.asked {
		switches := false
		for _, at := range first {
			switches = switches || at.After(begin) && one.at.Sub(at).Abs() < 2*time.Second
		}
		if switches {
			near = append(near, one.took)
		} else {
			far = append(far, one.took)
		}
	}
	return p99(near), p99(far)
}

func p99(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

func claimExp(token string) int64 {
	var payload struct{ Exp int64 }
	if parts := strings.Split(token, "."); len(parts) == 3 {
		_ = json.NewDecoder(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(parts[1]))).Decode(&payload)
	}
	return payload.Exp
}

// TestGatewaysRotateTogetherUnderLoad lets two gateways on one key store rotate
// by themselves, from no key at all, while both are asked for tokens.
func TestGatewaysRotateTogetherUnderLoad(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"files", "Vault"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			rotateTogether(t, store)
		})
	}
}

// load at 70 %: who waited for an answer rests for 3/7 of that time.
const rest = 3. / 7

func rotateTogether(t *testing.T, store string) {
	t.Helper()
	sim, url, _ := muxOf(t)
	keys := t.TempDir()
	content := keyFiles(t, keys, url, `        token: {default_ttl: 4s, max_ttl: 8s}
        keys: {prepare_for: 4s, rotate_every: 6s, retire_after: 1s, local: true}`)
	if store == "Vault" {
		server := vaulttest.Dev(t)
		server.Policy("gateway", vaulttest.GatewayPolicy(t, "secret", "playgate"))
		server.Policy("operator", vaulttest.Rules(t, "operator-kv", "secret", "playgate"))
		token := server.Token(&api.TokenCreateRequest{Policies: []string{"gateway", "operator"}, NoDefaultPolicy: true, TTL: "10m"})
		_, rest, _ := strings.Cut(content["playgate.yaml"], "\n")
		content["playgate.yaml"] = fmt.Sprintf("keystore: {driver: vault, vault: {address: %q, refresh_interval: 1s, auth: {token_file: %q}}}\n",
			server.Address, server.File("gateway-token", token)) + rest
	}
	gateways := []*gateway{launch(t, content), launch(t, content)}
	for _, g := range gateways {
		g.await("the first key", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	}
	all := &tokensAtMux{sim: sim, ends: map[string]int64{}, keys: map[string]bool{}}
	stop := make(chan struct{})
	var work sync.WaitGroup
	for n := range 4 {
		work.Go(func() {
			g := gateways[n%2]
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				// A parameter of its own makes most of them signatures, not hits.
				body := fmt.Sprintf(`{"playback_id":"PIDacme","types":["thumbnail"],"params":{"thumbnail":{"width":%d}}}`, 100+i%500)
				begun := time.Now()
				r, err := call(http.MethodPost, g.url+"/v1/tokens", body, "Authorization", basic("tok-acme"))
				took := time.Since(begun)
				var m minted
				if err == nil {
					err = r.decode(&m)
				}
				if err != nil || len(m.Tokens) == 0 {
					all.mu.Lock()
					all.bad = append(all.bad, fmt.Sprint("not minted: ", err))
					all.mu.Unlock()
					continue
				}
				all.take(&m, begun, took)
				time.Sleep(time.Duration(rest * float64(took)))
			}
		})
	}
	deadline := time.Now().Add(60 * time.Second)
	enough := func() bool {
		all.mu.Lock()
		defer all.mu.Unlock()
		deleted := 0
		for id := range all.keys {
			if !slices.Contains(atMux(t, url), id) {
				deleted++
			}
		}
		return len(all.keys) >= 4 && deleted >= 1 || len(all.bad) > 100
	}
	for !enough() && time.Now().Before(deadline) {
		all.checkAgain()
		time.Sleep(200 * time.Millisecond)
	}
	close(stop)
	work.Wait()
	all.checkAgain()
	if len(all.bad) > 0 {
		t.Errorf("%d tokens of %d were refused or missing, the first: %v", len(all.bad), len(all.asked), all.bad[:min(5, len(all.bad))])
	}
	if !enough() {
		t.Errorf("%d keys signed, and these are at Mux: %v\n%s", len(all.keys), atMux(t, url), gateways[0].log)
	}
	if made := strings.Count(gateways[0].log.String()+gateways[1].log.String(), `"event":"created"`); made > len(all.keys)+1 {
		t.Errorf("%d keys were made for %d that signed", made, len(all.keys))
	}
	switching, steady := all.paces()
	t.Logf("%d tokens under %d keys; p99 %s at a switch, %s otherwise", len(all.asked), len(all.keys), switching, steady)
}

// commands runs playgate in one folder.
type commands struct {
	t   *testing.T
	dir string
}

func newCommands(t *testing.T, content files) *commands {
	t.Helper()
	c := &commands{t, t.TempDir()}
	for name, text := range content {
		path := filepath.Join(c.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// keys runs a keys command.
func (c *commands) keys(stdin string, args ...string) (status int, stdout, stderr string) {
	c.t.Helper()
	cmd := c.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	if log := out.String() + errs.String(); strings.Contains(log, secret) || strings.Contains(log, "PRIVATE KEY") {
		c.t.Errorf("keys %v: a secret is shown", args)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String()), errs.String()
}

func (c *commands) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), binary, append([]string{"keys"}, append(args, "--config", "playgate.yaml", "--environment", "acme")...)...)
	cmd.Dir = c.dir
	return cmd
}

// must runs a keys command that succeeds and returns its answer.
func (c *commands) must(stdin string, args ...string) string {
	c.t.Helper()
	status, stdout, stderr := c.keys(stdin, args...)
	if status != 0 {
		c.t.Fatalf("keys %v: status %d: %s", args, status, stderr)
	}
	return stdout
}

// refused runs a keys command that fails, with one line that says why.
func (c *commands) refused(why string, args ...string) {
	c.t.Helper()
	status, stdout, stderr := c.keys("", args...)
	if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, why) {
		c.t.Errorf("keys %v: status %d, %q, %q, want 1 and a line with %q", args, status, stdout, stderr, why)
	}
}

func TestAKeysWholeLifeOnTheCommandLine(t *testing.T) {
	t.Parallel()
	_, url, _ := muxOf(t)
	keys := filepath.Join(t.TempDir(), "keys")
	c := newCommands(t, keyFiles(t, keys, url, "        keys: {prepare_for: 2s}\n        token: {default_ttl: 1s, max_ttl: 2s}"))

	first := c.must("", "create")
	if got := atMux(t, url); !slices.Equal(got, []string{first}) {
		t.Errorf("at Mux: %v, want %s", got, first)
	}
	c.must("", "activate", first) // nothing was active
	second := c.must("", "create")
	c.refused("may be activated at", "activate", second)
	c.refused("active key", "delete", first)
	c.refused("active key", "retire", first)
	c.refused("no such signing key", "activate", "NOBODY")
	c.refused("not a key ID", "activate", "../x")
	c.refused("reason", "activate", second, "--force")
	time.Sleep(2 * time.Second) // what the command promises to wait for
	for try := 0; ; try++ {
		status, _, stderr := c.keys("", "activate", second)
		if status == 0 {
			break
		}
		if try > 20 {
			t.Fatal(stderr)
		}
		time.Sleep(200 * time.Millisecond)
	}
	list := c.must("", "list")
	for line := range strings.SplitSeq(list, "\n") {
		if strings.HasPrefix(line, first) && (!strings.Contains(line, "retired") || !strings.Contains(line, "verifies")) ||
			strings.HasPrefix(line, second) && (!strings.Contains(line, "active") || !strings.Contains(line, "signs")) {
			t.Errorf("listed as %q", line)
		}
	}
	if !strings.Contains(list, first) || !strings.Contains(list, second) || !strings.Contains(list, "next step:") {
		t.Errorf("listed:\n%s", list)
	}

	imported := newKey(t)
	if got := c.must(imported, "import", "IMPORTED"); got != "IMPORTED" {
		t.Errorf("imported %q", got)
	}
	file := filepath.Join(c.dir, "key.pem")
	if err := os.WriteFile(file, []byte(newKey(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must("", "import", "FROMFILE", file)
	c.refused("already", "import", "FROMFILE", file)
	c.refused("no such file", "import", "NOFILE", file+".gone")
	c.refused("base64, but not of PEM", "import", "NOKEY", filepath.Join(c.dir, "mux-secret"))
	c.must("", "delete", "IMPORTED")
	local := c.must("", "create", "--local")
	if slices.Contains(atMux(t, url), local) {
		t.Error("a local key was made at Mux")
	}

	for try := 0; ; try++ { // until its last token has ended
		status, _, stderr := c.keys("", "delete", first)
		if status == 0 {
			break
		}
		if !strings.Contains(stderr, "may be valid until") || try > 50 {
			t.Fatalf("delete: %s", stderr)
		}
		time.Sleep(200 * time.Millisecond)
	}
	c.must("", "delete", first) // once more is no error
	if got := atMux(t, url); !slices.Equal(got, []string{second}) {
		t.Errorf("at Mux: %v, want %s", got, second)
	}
	if token := c.must("", "list"); strings.Contains(token, first) {
		t.Errorf("the deleted key is listed:\n%s", token)
	}
}

func TestKillingKeysCreateLeavesNoOrphan(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]muxsim.Fault{
		"before Mux made the key": {Method: http.MethodPost, Hang: true},
		"after Mux made the key":  {Method: http.MethodPost, Hang: true, Done: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, url, posts := muxOf(t)
			keys := t.TempDir()
			c := newCommands(t, keyFiles(t, keys, url, ""))
			sim.Fail(fault)
			cmd := c.command("create")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(20 * time.Second)
			for made := false; !made; {
				made = posts.Load() == 1 && (!fault.Done || len(atMux(t, url)) == 1)
				if time.Now().After(deadline) {
					t.Fatal("the command never got that far")
				}
				time.Sleep(10 * time.Millisecond)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			id := c.createAfterCrash()
			if got := atMux(t, url); !slices.Equal(got, []string{id}) {
				t.Errorf("at Mux: %v, want only %s", got, id)
			}
			if list := c.must("", "list"); strings.Count(list, "prepared") != 1 {
				t.Errorf("listed:\n%s", list)
			}
		})
	}
}
