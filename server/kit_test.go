package server_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/playgate/playgate/grant"
	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/server/transport"
	"github.com/playgate/playgate/store/memory"
	"github.com/playgate/playgate/tenant"
)

// The two environments of most tests. acme reads viewer tokens from a query
// parameter and a cookie; globex admits anonymous viewers.
const (
	acme   = playback.EnvironmentID("acme-prod")
	globex = playback.EnvironmentID("globex-prod")

	acmeHost   = "play.acme.example"
	globexHost = "play.globex.example"
	acmePage   = "https://www.acme.example"
	globexPage = "https://www.globex.example"

	acmeBackend   = "44c819de-4add-4c9f-b2e9-384a0a71bede"
	globexBackend = "55c819de-4add-4c9f-b2e9-384a0a71bede"
	noRights      = "66c819de-4add-4c9f-b2e9-384a0a71bede"
	acmeOperator  = "77c819de-4add-4c9f-b2e9-384a0a71bede"
	secret        = "the secret"
)

// viewer tokens of the fake identity: "iss.aud.sub", and what is wrong after
// another dot.
const (
	acmeViewer   = "idp-acme.playgate.u1"
	globexViewer = "idp-globex.playgate.u1"
	sharedViewer = "idp-shared.playgate.u1"
)

func basicAuth(id, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func bearer(token string) string { return "Authorization: Bearer " + token }

func tenants() []tenant.Organization {
	hash := tenant.HashSecret(secret)
	all := tenant.PermissionsOf(tenant.VideoRead, tenant.VideoWrite)
	return []tenant.Organization{
		{ID: "acme", Name: "Acme", Environments: []tenant.Environment{{
			ID: acme, Name: "Production", Hosts: []string{acmeHost},
			Issuers: []tenant.IssuerRef{
				{Issuer: "idp-acme", Recipients: forAudience("playgate"), Alias: "main"},
				{Issuer: "idp-shared", Recipients: forAudience("playgate"), Alias: "shared"},
			},
			ViewerQuery: "vt", ViewerCookie: "vc", CORSOrigins: []string{acmePage},
			AccessTokens: []tenant.AccessToken{
				{ID: acmeBackend, Permissions: all, Secret: hash},
				{ID: noRights, Permissions: tenant.PermissionsOf(tenant.SystemRead), Secret: hash},
				{ID: acmeOperator, Name: "ops", Permissions: tenant.PermissionsOf(tenant.SystemRead, tenant.SystemWrite), Secret: hash},
			},
		}}},
		{ID: "globex", Environments: []tenant.Environment{{
			ID: globex, Hosts: []string{globexHost},
			Issuers: []tenant.IssuerRef{
				{Issuer: "idp-globex", Recipients: forAudience("playgate"), Alias: "main"},
				{Issuer: "idp-shared", Recipients: forAudience("playgate"), Alias: "shared"},
			},
			Anonymous: true, ViewerQuery: "gv", CORSOrigins: []string{globexPage},
			AccessTokens: []tenant.AccessToken{{ID: globexBackend, Permissions: all, Secret: hash}},
		}}},
	}
}

// delivery is what every environment of the tests delivers from.
var delivery = playback.Delivery{
	Stream: "https://stream.example", Image: "https://image.example",
	License: "https://license.example", Stats: "https://stats.example",
}

func mintingFor(organizations []tenant.Organization) map[playback.EnvironmentID]*issuer.Environment {
	out := map[playback.EnvironmentID]*issuer.Environment{}
	for _, o := range organizations {
		for _, e := range o.Environments {
			out[e.ID] = &issuer.Environment{ID: e.ID, Delivery: delivery}
		}
	}
	return out
}

func forAudience(value string) []playback.Recipient {
	return []playback.Recipient{{Claim: playback.RecipientAudience, Value: value}}
}

// recipientOf reads the second part of the fake's tokens: "playgate" is an aud,
// "client_id=app" that claim in a token without aud, "" neither.
func recipientOf(text string) []playback.Recipient {
	if text == "" {
		return nil
	}
	if claim, value, ok := strings.Cut(text, "="); ok {
		return []playback.Recipient{{Claim: playback.RecipientClaim(claim), Value: value}}
	}
	return forAudience(text)
}

// fakeIdentity believes every token of the form above.
type fakeIdentity struct {
	memory sync.Map // token → *identity.Identity
	// verified counts calls of Verify.
	verified atomic.Int64
}

func (f *fakeIdentity) Remembered(token string, host playback.EnvironmentID, _ time.Time) (*identity.Identity, bool) {
	v, ok := f.memory.Load(token)
	if !ok {
		return nil, false
	}
	id := v.(*identity.Identity)
	return id, host == "" || host == id.Environment
}

func (f *fakeIdentity) Inspect(token string) (identity.Claim, error) {
	parts := strings.Split(token, ".")
	if len(parts) < 3 {
		return identity.Claim{}, playback.Errorf(playback.CodeInvalidCredentials, "The viewer token is not valid.")
	}
	return identity.Claim{Issuer: strings.Clone(parts[0]), Recipients: recipientOf(strings.Clone(parts[1]))}, nil
}

func (f *fakeIdentity) Verify(token string, _ identity.Claim, env playback.EnvironmentID) (*identity.Identity, error) {
	f.verified.Add(1)
	parts := strings.Split(strings.Clone(token), ".")
	if len(parts) > 3 {
		switch parts[3] {
		case "expired":
			return nil, playback.Errorf(playback.CodeExpiredCredentials, "The viewer token has expired.")
		case "down":
			return nil, playback.Errorf(playback.CodeIssuerUnavailable, "The issuer's keys are not available.").After(7 * time.Second)
		case "forged":
			return nil, playback.Errorf(playback.CodeInvalidCredentials, "The viewer token is not valid.").Because(errors.New("bad signature"))
		}
	}
	alias := "main"
	if parts[0] == "idp-shared" {
		alias = "shared"
	}
	viewer := &playback.Viewer{Issuer: alias, ID: parts[2], Authenticated: true}
	id := &identity.Identity{Environment: env, Viewer: viewer, Name: identity.NameOf(env, viewer)}
	if alias != "shared" {
		f.memory.Store(strings.Clone(token), id)
	}
	return id, nil
}

// asked is what the fake issuer was asked.
type asked struct {
	Environment playback.EnvironmentID
	issuer.Request
}

// fakeIssuer remembers what it was asked and answers with one token per type.
type fakeIssuer struct {
	mu    sync.Mutex
	calls []asked
	// guarded by mu; the detector of races does not see that a request comes after what
	// was set before it was sent: sockets are read behind its back
	answer func(ctx context.Context, env *issuer.Environment, req *issuer.Request) (*issuer.Answer, error)
	// explain replaces the explanation, likewise.
	explain func(ctx context.Context, req *issuer.Request) (*issuer.Explanation, error)
}

func (f *fakeIssuer) Issue(ctx context.Context, env *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
	f.mu.Lock()
	kept := *req // the request and what it points to are pooled
	client := *req.Client
	kept.Client, kept.Types = &client, slices.Clone(req.Types)
	f.calls = append(f.calls, asked{env.ID, kept})
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		return answer(ctx, env, req)
	}
	return granting(req, playback.PolicySigned), nil
}

// answers replaces the answer; nil takes that back.
func (f *fakeIssuer) answers(answer func(context.Context, *issuer.Environment, *issuer.Request) (*issuer.Answer, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fakeIssuer) last(t *testing.T) asked {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		t.Fatal("the issuer was not asked")
	}
	return f.calls[len(f.calls)-1]
}

func (f *fakeIssuer) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// granting answers with a token of every type that was asked for.
func granting(req *issuer.Request, policy playback.Policy) *issuer.Answer {
	id := req.PlaybackID
	if id == "" {
		id = "PIDOF" + playback.ID(req.AssetID) + playback.ID(req.LiveStreamID)
	}
	types := req.Types
	if req.All {
		types = []playback.TokenType{playback.Video, playback.Thumbnail, playback.DRMLicense}
	}
	a := &issuer.Answer{
		Object: &playback.Object{ID: id, Policy: policy, Known: true}, Rule: "premium",
		Lifetime: playback.Lifetime{L: 3600, G: 900, Exp: 2_000_000_000},
	}
	if req.VideoID != "" {
		a.Object = &playback.Object{VideoID: req.VideoID}
	}
	for _, t := range types {
		item := issuer.Item{Type: t, Rule: "premium", Params: req.Params[t]}
		if a.Object.NeedsToken(t) {
			a.Key, item.Token = "K1", playback.NewToken("e30."+t.String()+".c2ln")
		}
		a.Items = append(a.Items, item)
	}
	return a
}

func refusing(err error) func(context.Context, *issuer.Environment, *issuer.Request) (*issuer.Answer, error) {
	return func(context.Context, *issuer.Environment, *issuer.Request) (*issuer.Answer, error) { return nil, err }
}

type fakeKeys struct{}

func (fakeKeys) JWKS(env playback.EnvironmentID) ([]byte, string, bool) {
	if env == "unready" {
		return nil, "", false
	}
	return []byte(`{"keys":[{"kid":"` + string(env) + `"}]}`), `"tag-` + string(env) + `"`, true
}

// kit is a server that listens in memory.
type kit struct {
	t        testing.TB
	server   *server.Server
	issuer   *fakeIssuer
	keys     *fakeManager
	grants   *grant.Holder
	hooks    *fakeWebhooks
	identity *fakeIdentity
	clock    *clock
	log      *logBuffer
	registry *prometheus.Registry
	snapshot atomic.Pointer[server.Snapshot]
	listener *fasthttputil.InmemoryListener
	peer     atomic.Pointer[net.TCPAddr]
}

type clock struct{ nanos atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

type logBuffer struct {
	mu    sync.Mutex
	lines []string
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

func (l *logBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}

type options struct {
	header     string // of the country
	locator    server.Locator
	asleep     bool // the rules read nothing of where a viewer is
	tenants    []tenant.Organization
	trusted    []netip.Prefix
	unresolved string
	accessLog  string
	pages      map[string]http.Handler
	logger     *slog.Logger

	connections transport.Limits
}

func start(t testing.TB, o options) *kit {
	t.Helper()
	k := &kit{
		t: t, issuer: &fakeIssuer{}, keys: newFakeManager(), identity: &fakeIdentity{}, clock: &clock{}, log: &logBuffer{}, hooks: &fakeWebhooks{},
		grants:   grant.New(grant.Config{Store: memory.New(), Now: func() time.Time { return time.Unix(1_900_000_000, 0) }}),
		registry: prometheus.NewPedanticRegistry(), listener: fasthttputil.NewInmemoryListener(),
	}
	k.clock.nanos.Store(time.Unix(1_900_000_000, 0).UnixNano())
	k.from("198.51.100.7")
	if o.tenants == nil {
		o.tenants = tenants()
	}
	if o.logger == nil {
		o.logger = slog.New(slog.NewJSONHandler(k.log, nil))
	}
	k.configure(o)
	k.server = server.New(server.Config{
		Snapshot: k.snapshot.Load, Issuer: k.issuer, Identity: k.identity, JWKS: fakeKeys{}, Keys: k.keys, Grants: k.grants, Webhooks: k.hooks, Explainer: k.issuer, Policies: fakePolicies{},
		Logger: o.logger, AccessLog: o.accessLog, Registerer: k.registry,
		Now: k.clock.Now, Rand: func() float64 { return 0 }, Pages: o.pages, Connections: o.connections,
	})
	served := make(chan error, 1)
	go func() { served <- k.server.Serve(addressed{k.listener, &k.peer}, nil) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := k.server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown() = %v, want nil", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve() = %v, want nil", err)
		}
		k.checkCauses()
	})
	return k
}

// checkCauses checks that every refusal of a test has its cause in the log.
func (k *kit) checkCauses() {
	k.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(k.log.text()), "\n") {
		var l struct {
			Message string `json:"msg"`
			Status  int    `json:"status"`
			Cause   string `json:"cause"`
		}
		if line == "" || json.Unmarshal([]byte(line), &l) != nil { // lines in other formats are for other tests
			continue
		}
		if l.Message == "request" && l.Status >= 400 && strings.TrimSpace(l.Cause) == "" {
			k.t.Errorf("a refusal without a cause: %s", line)
		}
	}
}

func (k *kit) configure(o options) {
	k.t.Helper()
	directory, err := tenant.New(o.tenants)
	if err != nil {
		k.t.Fatal(err)
	}
	minting := mintingFor(o.tenants)
	for _, e := range minting {
		e.ReadsPlace = !o.asleep
	}
	snapshot, err := server.NewSnapshot(server.SnapshotConfig{
		Directory: directory, Environments: minting,
		TrustedProxies: o.trusted, UnresolvedRateLimit: o.unresolved, CountryHeader: o.header,
	})
	if err != nil {
		k.t.Fatal(err)
	}
	if o.locator != nil {
		snapshot.SetLocator(o.locator)
	}
	k.snapshot.Store(snapshot)
}

// from makes connections that are opened from now on come from an address.
func (k *kit) from(ip string) { k.peer.Store(&net.TCPAddr{IP: net.ParseIP(ip), Port: 40000}) }

type addressed struct {
	net.Listener
	peer *atomic.Pointer[net.TCPAddr]
}

func (l addressed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return addressedConn{c, l.peer.Load()}, nil
}

type addressedConn struct {
	net.Conn
	peer *net.TCPAddr
}

func (c addressedConn) RemoteAddr() net.Addr { return c.peer }

// response is an answer, read whole.
type response struct {
	*http.Response
	body string
}

// code returns the code of an error, "" for an answer that is none.
func (r response) code() playback.Code {
	var e struct {
		Error struct {
			Code playback.Code `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(r.body), &e)
	return e.Error.Code
}

// decode decodes the body into a tree.
func (r response) decode(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(r.body), &out); err != nil {
		t.Fatalf("the body is not JSON: %v: %s", err, r.body)
	}
	return out
}

// raw sends bytes on a connection of their own and reads one answer.
func (k *kit) raw(method, bytes string) response {
	k.t.Helper()
	conn := k.begin(k.listener.Dial, bytes)
	defer conn.Close()
	return k.read(method, bufio.NewReader(conn))
}

// begin sends bytes on a connection of their own.
func (k *kit) begin(dial func() (net.Conn, error), bytes string) net.Conn {
	k.t.Helper()
	conn, err := dial()
	if err != nil {
		k.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.WriteString(conn, bytes) }() // an answer may come before the end
	return conn
}

func (k *kit) read(method string, r *bufio.Reader) response {
	k.t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		k.t.Fatalf("reading the answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatalf("reading the body: %v", err)
	}
	return response{res, string(body)}
}

// call sends a request to acme's host, unless a header says otherwise. Each
// header is a whole line; the last argument of post is a body.
func (k *kit) call(method, target string, headers ...string) response {
	k.t.Helper()
	return k.raw(method, message(method, target, "", headers))
}

func (k *kit) get(target string, headers ...string) response {
	k.t.Helper()
	return k.call("GET", target, headers...)
}

func (k *kit) post(target, body string, headers ...string) response {
	k.t.Helper()
	return k.raw("POST", message("POST", target, body, append(headers, "Content-Type: application/json")))
}

func message(method, target, body string, headers []string) string {
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\n")
	host := true
	for _, h := range headers {
		b.WriteString(h + "\r\n")
		if strings.HasPrefix(h, "Host:") {
			host = false
		}
	}
	if host {
		b.WriteString("Host: " + acmeHost + "\r\n")
	}
	if body != "" {
		b.WriteString("Content-Length: " + itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

func itoa(n int) string { data, _ := json.Marshal(n); return string(data) }

// want checks status and code of an answer, and what every answer has.
func (k *kit) want(r response, status int, code playback.Code) {
	k.t.Helper()
	if r.StatusCode != status || r.code() != code {
		k.t.Errorf("answered %d %q, want %d %q: %s", r.StatusCode, r.code(), status, code, r.body)
	}
	checkAnswer(k.t, r)
}

// checkAnswer checks the promises that hold for every answer but JWKS.
func checkAnswer(t testing.TB, r response) {
	t.Helper()
	if got := r.Header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("Cache-Control = %q, want private, no-store", got)
	}
	if r.Header.Get("X-Request-Id") == "" {
		t.Error("there is no X-Request-Id")
	}
	if r.Header.Get("Server") != "" {
		t.Errorf("Server = %q, want none", r.Header.Get("Server"))
	}
	if r.StatusCode >= 400 && r.Request.Method != "HEAD" {
		checkEnvelope(t, r)
	}
}

// envelope is the test reader's view of contract §8's error.
type envelope struct {
	Error struct {
		Type        string   `json:"type"`
		Messages    []string `json:"messages"`
		Code        string   `json:"code"`
		RequestID   string   `json:"request_id"`
		DeletableAt string   `json:"deletable_at"`
		Available   int64    `json:"available_from"`
	} `json:"error"`
}

func checkEnvelope(t testing.TB, r response) {
	t.Helper()
	var e envelope
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Errorf("the error is no envelope: %v: %s", err, r.body)
		return
	}
	if e.Error.Type == "" || e.Error.Code == "" || len(e.Error.Messages) != 1 || e.Error.Messages[0] == "" {
		t.Errorf("the envelope lacks something: %s", r.body)
	}
	if e.Error.RequestID != r.Header.Get("X-Request-Id") {
		t.Errorf("request_id = %q, X-Request-Id = %q", e.Error.RequestID, r.Header.Get("X-Request-Id"))
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", got)
	}
	needs := map[int]string{401: "Www-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
	if h := needs[r.StatusCode]; h != "" && r.Header.Get(h) == "" {
		t.Errorf("%d without %s", r.StatusCode, h)
	}
}

func diff(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
