package server_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/tenant"
)

// hit answers like an issuer whose token is in the cache, and allocates what
// that one does: an answer and its item.
type hit struct {
	object *playback.Object
	token  playback.Token
}

func (h *hit) Issue(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
	return &issuer.Answer{
		Object: h.object, Rule: "premium", Key: "K1", Hit: true,
		Lifetime: playback.Lifetime{L: 3600, G: 900, Exp: 2_000_000_000},
		Items:    []issuer.Item{{Type: req.Types[0], Token: h.token, Rule: "premium"}},
	}, nil
}

// known remembers every token.
type known struct{ fakeIdentity }

func (k *known) Remembered(string, playback.EnvironmentID, time.Time) (*identity.Identity, bool) {
	return knownIdentity, true
}

var knownIdentity = &identity.Identity{
	Environment: acme, Viewer: &playback.Viewer{Issuer: "main", ID: "8c6ad3a0-1b8a-4f31-9b0d", Authenticated: true},
}

// hitPath returns a server on the hit path, and one request of it that has
// travelled over the connection before.
func hitPath(tb testing.TB) (exchange func()) {
	tb.Helper()
	o := withLimits("100000000-D", "100000000-D", "100000000-D")
	directory, err := tenant.New(o.tenants)
	if err != nil {
		tb.Fatal(err)
	}
	snapshot, err := server.NewSnapshot(server.SnapshotConfig{Directory: directory, Environments: mintingFor(o.tenants)})
	if err != nil {
		tb.Fatal(err)
	}
	token := make([]byte, 700)
	for i := range token {
		token[i] = 'a'
	}
	s := server.New(server.Config{
		Snapshot: func() *server.Snapshot { return snapshot },
		Issuer:   &hit{&playback.Object{ID: "PID1", Policy: playback.PolicySigned}, playback.NewToken(string(token))},
		Identity: &known{}, JWKS: fakeKeys{}, AccessLog: "1/100",
		Logger: slog.New(slog.NewJSONHandler(io.Discard, nil)), //nolint:sloglint // what is sampled is to cost what it costs
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	go func() { _ = s.Serve(l, nil) }()
	tb.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	request := []byte(message("GET", "/v1/playback-ids/PID1/token", "", []string{
		"Authorization: Bearer " + string(token), "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Accept: application/json", "Origin: " + acmePage, "Referer: " + acmePage + "/watch/1",
	}))
	r := bufio.NewReaderSize(conn, 16<<10)
	size := 0
	exchange = func() {
		if _, err := conn.Write(request); err != nil {
			tb.Fatal(err)
		}
		if size == 0 { // the second answer and on: all are of one length
			size = answerSize(tb, r)
			return
		}
		if _, err := r.Discard(size); err != nil {
			tb.Fatal(err)
		}
	}
	exchange()
	size = 0 // RateLimit-Remaining lost a digit
	exchange()
	return exchange
}

// answerSize reads one answer and returns its size in bytes.
func answerSize(tb testing.TB, r *bufio.Reader) int {
	tb.Helper()
	n, body := 0, 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			tb.Fatal(err)
		}
		n += len(line)
		if len(line) > 16 && line[:16] == "Content-Length: " {
			for _, c := range line[16 : len(line)-2] {
				body = body*10 + int(c-'0')
			}
		}
		if line == "\r\n" {
			break
		}
	}
	if _, err := r.Discard(body); err != nil {
		tb.Fatal(err)
	}
	return n + body
}

// BenchmarkGetTokenHit is GET /v1/playback-ids/{id}/token from socket to
// socket over loopback, with everything but identity and issuer real.
func BenchmarkGetTokenHit(b *testing.B) {
	exchange := hitPath(b)
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}

// TestTheHitPathStaysLean bounds what a hit allocates from socket to socket,
// the fake issuer's two included. It is not parallel, so that nothing else
// allocates meanwhile.
func TestTheHitPathStaysLean(t *testing.T) { //nolint:paralleltest // counts the process's allocations
	const limit = 10
	exchange := hitPath(t)
	if got := testing.AllocsPerRun(1000, exchange); got > limit && !raceEnabled {
		t.Errorf("a hit allocates %v times, want at most %d", got, limit)
	}
}
