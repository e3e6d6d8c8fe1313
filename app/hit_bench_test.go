package app_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
)

// everythingOn is what a production environment has: an RS256 viewer, four
// rules, viewer and IP limits, metrics, a sampled access log.
const everythingOn = `
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_delay: 0}
log: {access: 1/100}
keystore: {driver: memory}
organizations:
  - id: acme
    environments:
      - id: acme
        viewers: [{issuer: "https://idp.acme.example", jwks_file: jwks.json, algorithms: [RS256]}]
        rate_limits: {viewer: "100000000-M", ip: "100000000-M"}
        policy:
          version: 1
          rules:
            - {id: blocked, effect: deny, when: 'viewer.claims.?blocked.orValue(false) == true', reason: blocked}
            - {id: embargo, effect: deny, when: 'asset.passthrough == "film-1" && now < timestamp("2027-01-01T00:00:00Z")', reason: not_released}
            - {id: staff, effect: allow, when: 'viewer.claims.?role.orValue("") == "staff"'}
            - {id: premium, effect: allow, when: 'viewer.authenticated && viewer.claims.?plan.orValue("") == "premium"', grant: {ttl: 1h, types: [video, thumbnail, storyboard]}}
`

// The requests of a hitter, up to the viewer token and after it.
var (
	oneToken = [2]string{"GET /v1/playback-ids/HOT1/token HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ", "\r\n\r\n"}
	bundle   = [2]string{
		"POST /v1/tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ",
		"\r\nContent-Type: application/json\r\nContent-Length: 65\r\n\r\n" + `{"playback_id":"HOT1","types":["video","thumbnail","storyboard"]}`,
	}
)

// hitter asks for what is cached over one connection, and allocates nothing
// itself: what is counted is the gateway, from socket to socket.
type hitter struct {
	app     *app.App
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	answer  []byte
}

func newHitter(t testing.TB, request [2]string) *hitter {
	t.Helper()
	provider, jwks := identityProvider(t)
	dir := t.TempDir()
	for name, content := range map[string]string{"playgate.yaml": everythingOn, "jwks.json": string(jwks)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := app.New(app.Options{Path: filepath.Join(dir, "playgate.yaml"), Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	token, err := provider.Token(map[string]any{"sub": "u1", "aud": "playgate", "plan": "premium", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	h := &hitter{app: a, conn: conn, reader: bufio.NewReaderSize(conn, 16<<10), answer: make([]byte, 16<<10)}
	h.request = []byte(request[0] + token + request[1])
	h.hit(t)
	return h
}

// hit makes one request and reads its answer whole.
func (h *hitter) hit(t testing.TB) {
	if _, err := h.conn.Write(h.request); err != nil {
		t.Fatal(err)
	}
	length, ok := 0, false
	for {
		line, err := h.reader.ReadSlice('\n')
		if err != nil {
			t.Fatal(err)
		}
		if len(line) <= 2 {
			break
		}
		const name = "Content-Length: "
		if len(line) > len(name) && string(line[:len(name)]) == name {
			for _, c := range line[len(name) : len(line)-2] {
				length = length*10 + int(c-'0')
			}
		}
		ok = ok || string(line) == "HTTP/1.1 200 OK\r\n"
	}
	if _, err := io.ReadFull(h.reader, h.answer[:length]); err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Fatalf("not a 200: %s", h.answer[:length])
	}
}

// TestHitAllocatesLittle is the bound, from socket to socket, everything on: 8
// objects for a token, and no more for each of a bundle.
func TestHitAllocatesLittle(t *testing.T) {
	for _, test := range []struct {
		name    string
		request [2]string
		most    float64
	}{{"a hit", oneToken, 8}, {"a bundle of three hits", bundle, 3 * 8}} {
		h := newHitter(t, test.request)
		for range 200 { // let pools fill
			h.hit(t)
		}
		if got := testing.AllocsPerRun(2000, func() { h.hit(t) }); got > test.most && !raceEnabled {
			t.Errorf("%s allocates %.0f objects, want at most %.0f", test.name, got, test.most)
		}
	}
}

// BenchmarkHit is a hit over a socket, BenchmarkHitInMemory one over a
// connection that costs nothing: the gateway's own work, without the kernel's.
func BenchmarkHit(b *testing.B) {
	h := newHitter(b, oneToken)
	b.ReportAllocs()
	for b.Loop() {
		h.hit(b)
	}
}

func BenchmarkHitInMemory(b *testing.B) { inMemory(b, oneToken) }

// BenchmarkBundleInMemory is three cached tokens, as a player asks for when it
// starts.
func BenchmarkBundleInMemory(b *testing.B) { inMemory(b, bundle) }

func inMemory(b *testing.B, request [2]string) {
	h := newHitter(b, request)
	l := &memoryListener{address: h.conn.RemoteAddr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- h.app.ServeAlso(l) }()
	b.ReportAllocs()
	b.ResetTimer()
	c := &memoryConn{listener: l, request: h.request, left: b.N, done: make(chan struct{})}
	l.conns <- c
	<-c.done
	b.StopTimer()
	if err := h.app.Stop(); err != nil {
		b.Fatal(err)
	}
	if err := <-served; err != nil {
		b.Fatal(err)
	}
	if want := b.N * len("HTTP/1.1 200 OK"); c.written < want {
		b.Errorf("%d answers have %d bytes", b.N, c.written)
	}
}

// memoryListener accepts what is sent to it.
type memoryListener struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { close(l.closed); return nil }
func (l *memoryListener) Addr() net.Addr { return l.address }

// memoryConn is a client that sends one request a number of times and does not
// look at the answers.
type memoryConn struct {
	net.Conn // nil

	listener *memoryListener
	request  []byte
	left     int
	written  int
	done     chan struct{}
}

func (c *memoryConn) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	c.left--
	return copy(b, c.request), nil
}

func (c *memoryConn) Write(b []byte) (int, error)      { c.written += len(b); return len(b), nil }
func (c *memoryConn) Close() error                     { close(c.done); return nil }
func (c *memoryConn) LocalAddr() net.Addr              { return c.listener.address }
func (c *memoryConn) RemoteAddr() net.Addr             { return c.listener.address }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
