package vault_test

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
	"github.com/playgate/playgate/playback"
)

const acme playback.EnvironmentID = "acme"

// rig is a source that reads from a prefix of its own on a shared server,
// through a proxy that counts requests and injects faults.
type rig struct {
	*testing.T
	server *vaulttest.Server
	proxy  *proxy
	prefix string
	clock  atomic.Int64 // nanoseconds by which the source's clock is ahead
	config vault.Config
	source *vault.Source
}

// prefixes numbers the rigs of one server.
type prefixes struct {
	server *vaulttest.Server
	next   atomic.Int64
}

func (p *prefixes) rig(t *testing.T, edit func(*rig)) *rig {
	t.Helper()
	r := &rig{T: t, server: p.server.For(t), proxy: newProxy(t, p.server.Address)}
	r.prefix = fmt.Sprintf("gate%d", p.next.Add(1))
	r.config = vault.Config{
		Address: r.proxy.url, Mount: "secret", Prefix: r.prefix,
		Now:    func() time.Time { return time.Now().Add(time.Duration(r.clock.Load())) },
		Logger: slog.New(slog.DiscardHandler),
	}
	if edit != nil {
		edit(r)
	}
	if r.config.Auth.Method == "" {
		r.useToken(&api.TokenCreateRequest{Policies: []string{r.policy()}})
	}
	source, err := vault.New(r.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	r.source = source
	return r
}

// policy creates the documented policy and returns its name.
func (r *rig) policy() string {
	r.Helper()
	r.server.Policy(r.prefix, vaulttest.GatewayPolicy(r.T, "secret", r.prefix))
	return r.prefix
}

func (r *rig) useToken(request *api.TokenCreateRequest) {
	r.Helper()
	token := r.server.Token(request)
	r.config.Auth = vault.Auth{Method: vault.TokenMethod, TokenFile: r.server.File(r.prefix+"-token", token+"\n")}
}

func (r *rig) useAppRole(settings map[string]any) {
	r.Helper()
	all := map[string]any{"token_policies": r.policy()}
	maps.Copy(all, settings)
	role := r.server.AppRole(r.prefix, all)
	r.config.Auth = vault.Auth{
		Method: vault.AppRoleMethod, RoleID: role,
		SecretIDFile: r.server.File(r.prefix+"-secret", r.server.SecretID(r.prefix)+"\n"),
	}
}

func (r *rig) kv() *api.KVv2 { return r.server.Client().KVv2("secret") }

func (r *rig) path(env playback.EnvironmentID, id playback.KeyID) string {
	return r.prefix + "/" + string(env) + "/signing-keys/" + string(id)
}

// store writes an entry of environment acme.
func (r *rig) store(id playback.KeyID, members map[string]any) {
	r.Helper()
	if _, err := r.kv().Put(r.Context(), r.path(acme, id), members); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func entry(t testing.TB, n int, state keystore.State) map[string]any {
	t.Helper()
	return map[string]any{"private_key": string(keystoretest.Base64(t, n)), "state": string(state)}
}

// load returns "ID state" of each key, and the problems but for that of the
// clocks, which rigs move.
func (r *rig) load() (string, string, error) {
	r.Helper()
	set, problems, err := keystore.Load(r.Context(), r.source, acme)
	var keys, texts []string
	for _, key := range set.Keys {
		keys = append(keys, string(key.ID)+" "+string(key.State))
	}
	for _, p := range problems {
		if p.Path != r.config.Address {
			texts = append(texts, p.String())
		}
	}
	return strings.Join(keys, ", "), strings.Join(texts, "\n"), err
}

// want loads and compares the keys; each problem must be mentioned.
func (r *rig) want(keys string, problems ...string) {
	r.Helper()
	got, texts, err := r.load()
	if err != nil {
		r.Fatalf("Load = %v", err)
	}
	if got != keys {
		r.Errorf("keys %q, want %q; problems: %s", got, keys, texts)
	}
	if len(problems) == 0 && texts != "" {
		r.Errorf("problems: %s", texts)
	}
	for _, problem := range problems {
		if !strings.Contains(texts, problem) {
			r.Errorf("problems %q, want %q", texts, problem)
		}
	}
}

func (r *rig) wantError(parts ...string) {
	r.Helper()
	keys, _, err := r.load()
	if err == nil {
		r.Fatalf("Load = %q, want an error with %q", keys, parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			r.Errorf("Load = %v, want an error with %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		r.Errorf("an error of several lines: %q", err)
	}
}

// eventually polls until check holds.
func (r *rig) eventually(what string, check func() bool) {
	r.Helper()
	eventually(r.T, what, check)
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *rig) forward(d time.Duration) { r.clock.Add(int64(d)) }

// proxy passes requests on to Vault.
type proxy struct {
	url string

	mu     sync.Mutex // guards what follows
	counts map[string]int
	fault  func(http.ResponseWriter, *http.Request) bool // reports whether it answered
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{counts: map[string]int{}}
	pass := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.counts[kind(r)]++
		fault := p.fault
		p.mu.Unlock()
		if fault == nil || !fault(w, r) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// kind says what a request is for.
func kind(r *http.Request) string {
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/login"):
		return "login"
	case strings.Contains(path, "/auth/token/"):
		return path[strings.LastIndex(path, "/")+1:]
	case r.URL.Query().Has("list"):
		return "list"
	case strings.Contains(path, "/metadata/"):
		return "metadata"
	case strings.Contains(path, "/data/"):
		return "data"
	case strings.Contains(path, "/mounts/"):
		return "mounts"
	}
	return r.URL.Path
}

func (p *proxy) count(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[kind]
}

// fail makes the proxy answer by itself; nil ends that.
func (p *proxy) fail(fault func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}
