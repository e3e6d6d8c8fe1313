package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
)

// socket is a TCP connection to the server of a kit.
type socket struct {
	net.Conn

	k *kit
	r *bufio.Reader
}

// tcp makes the kit's server listen on a port, too.
func (k *kit) tcp() (dial func() *socket) {
	k.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		k.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- k.server.Serve(l, nil) }()
	return func() *socket {
		k.t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			k.t.Fatal(err)
		}
		k.t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		return &socket{conn, k, bufio.NewReader(conn)}
	}
}

func (s *socket) send(text string) {
	s.k.t.Helper()
	if _, err := io.WriteString(s.Conn, text); err != nil {
		s.k.t.Fatal(err)
	}
}

// answer reads one answer, 100 too.
func (s *socket) answer() response {
	s.k.t.Helper()
	return s.k.read(http.MethodPost, s.r)
}

// closed reports whether the server has closed the connection.
func (s *socket) closed() bool {
	_, err := s.r.ReadByte()
	return err == io.EOF
}

// header is the header of a POST that expects 100-continue.
func expecting(target string, headers ...string) string {
	return message("POST", target, "", append(headers, "Content-Type: application/json", "Expect: 100-continue"))
}

const aBody = `{"playback_id":"P"}`

// TestOnlyAWantedBodyIsContinued: nobody sends a body in vain.
func TestOnlyAWantedBodyIsContinued(t *testing.T) {
	t.Parallel()
	fits := "Content-Length: 19"
	for name, c := range map[string]struct {
		bytes  string
		status int
		code   playback.Code
	}{
		"no route":                            {expecting("/v1/nowhere", fits, bearer(acmeViewer)), 404, playback.CodeNotFound},
		"no method":                           {strings.Replace(expecting("/v1/tokens", fits, bearer(acmeViewer)), "POST", "PUT", 1), 405, playback.CodeMethodNotAllowed},
		"too long":                            {expecting("/v1/tokens", "Content-Length: 65537", bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"too long, and a wrong credential":    {expecting("/v1/tokens", "Content-Length: 65537", bearer("junk")), 413, playback.CodePayloadTooLarge},
		"too long for a batch":                {expecting("/v1/tokens/batch", "Content-Length: 524289", bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"a wrong credential":                  {expecting("/v1/tokens", fits, bearer("junk")), 401, playback.CodeInvalidCredentials},
		"a wrong credential, chunked":         {expecting("/v1/tokens", "Transfer-Encoding: chunked", bearer("junk")), 401, playback.CodeInvalidCredentials},
		"an expired credential":               {expecting("/v1/tokens", fits, bearer(acmeViewer+".expired")), 401, playback.CodeExpiredCredentials},
		"no credential":                       {expecting("/v1/tokens", fits), 401, playback.CodeMissingCredentials},
		"no environment":                      {expecting("/v1/tokens", fits, "Host: other.example"), 400, playback.CodeEnvironmentUnresolved},
		"cross-site":                          {expecting("/v1/tokens", fits, "Cookie: vc="+acmeViewer, "Origin: https://evil.example"), 403, playback.CodeCrossSite},
		"no permission":                       {expecting("/v1/tokens", fits, basicAuth(noRights, secret)), 403, playback.CodeInsufficientPermissions},
		"a viewer where only backends may":    {expecting("/v1/explain", fits, bearer(acmeViewer)), 403, playback.CodeInsufficientPermissions},
		"a method that nobody knows":          {strings.Replace(expecting("/v1/tokens", fits), "POST", "BREW", 1), 405, playback.CodeMethodNotAllowed},
		"OPTIONS, which wants no body at all": {strings.Replace(expecting("/v1/tokens", fits), "POST", "OPTIONS", 1), 204, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			s := k.tcp()()
			s.send(c.bytes)
			r := s.answer() // no 100, and nothing of the body was sent
			k.want(r, c.status, c.code)
			if !r.Close || !s.closed() {
				t.Error("the connection stays open, though a body may come")
			}
			if k.issuer.count() != 0 {
				t.Error("the issuer was asked")
			}
			if got := strings.Count(k.log.text(), r.Header.Get("X-Request-Id")); c.status >= 400 && got != 1 {
				t.Errorf("the refusal is logged %d times: %s", got, k.log.text())
			}
		})
	}
}

func TestAWantedBodyIsContinued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		length string
		pieces []string
		status int
		code   playback.Code
	}{
		"in pieces":        {"Content-Length: 19", []string{aBody[:1], aBody[1:10], aBody[10:]}, 200, ""},
		"in chunks":        {"Transfer-Encoding: chunked", []string{"5\r\n" + aBody[:5] + "\r\n", "e\r\n" + aBody[5:] + "\r\n0\r\n\r\n"}, 200, ""},
		"malformed":        {"Content-Length: 1", []string{"{"}, 400, playback.CodeInvalidJSON},
		"broken chunks":    {"Transfer-Encoding: chunked", []string{"zz\r\n"}, 400, "invalid_request"},
		"too many chunks":  {"Transfer-Encoding: chunked", []string{"10001\r\n" + strings.Repeat(" ", 1<<16+1) + "\r\n"}, 413, playback.CodePayloadTooLarge},
		"it does not come": {"Content-Length: 19", []string{aBody[:3]}, 408, "request_timeout"},
		"nothing comes":    {"Content-Length: 19", nil, 408, "request_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{tenants: limited()})
			s := k.tcp()()
			s.send(expecting("/v1/tokens", c.length, bearer(acmeViewer), "X-Request-Id: r1"))
			if r := s.answer(); r.StatusCode != 100 {
				t.Fatalf("answered %d %s, want 100", r.StatusCode, r.body)
			}
			for _, piece := range c.pieces {
				s.send(piece)
			}
			r := s.answer()
			k.want(r, c.status, c.code)
			if c.status != 200 {
				return
			}
			// It is one request: charged once, with one ID, and another may follow.
			diff(t, "RateLimit-Remaining", r.Header.Get("RateLimit-Remaining"), "19")
			diff(t, "X-Request-Id", r.Header.Get("X-Request-Id"), "r1")
			diff(t, "playback ID", k.issuer.last(t).PlaybackID, playback.ID("P"))
			diff(t, "viewer", k.issuer.last(t).Viewer.ID, "u1")
			s.send(message("POST", "/v1/tokens", `{"playback_id":"P2"}`, []string{bearer(acmeViewer), "Content-Type: application/json"}))
			r = s.answer()
			k.want(r, 200, "")
			diff(t, "RateLimit-Remaining", r.Header.Get("RateLimit-Remaining"), "18")
			diff(t, "playback ID", k.issuer.last(t).PlaybackID, playback.ID("P2"))
		})
	}
}

// TestHTTP10ExpectsNothing: RFC 9110 §10.1.1.
func TestHTTP10ExpectsNothing(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	s := k.tcp()()
	s.send(strings.Replace(expecting("/v1/tokens", "Content-Length: 19", bearer(acmeViewer)), "HTTP/1.1", "HTTP/1.0", 1) + aBody)
	k.want(s.answer(), 200, "")
}

// TestALengthBeyondTheLimitIsRefusedAtOnce: not a byte of the body was sent.
func TestALengthBeyondTheLimitIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	post := func(target, length string, headers ...string) string {
		return message("POST", target, "", append(headers, "Content-Type: application/json", "Content-Length: "+length))
	}
	for name, c := range map[string]struct {
		bytes  string
		status int
		code   playback.Code
	}{
		"a request":           {post("/v1/tokens", "65537", bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"a wrong credential":  {post("/v1/tokens?a=b", "65537", bearer("junk")), 413, playback.CodePayloadTooLarge},
		"a batch":             {post("/v1/tokens/batch", "524289", bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"a webhook":           {post("/v1/webhooks/mux/acme-prod", "1048577"), 413, playback.CodePayloadTooLarge},
		"a licence challenge": {post("/license/widevine/P", "9999999999", bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"a GET":               {strings.Replace(post(aToken, "65537", bearer(acmeViewer)), "POST", "GET", 1), 413, playback.CodePayloadTooLarge},
		"below a root":        {post("/P.m3u8", "65537", "Host: stream."+acmeHost), 405, playback.CodeMethodNotAllowed},
		"nowhere":             {post("/v1/nowhere", "65537"), 404, playback.CodeNotFound},
		"an absolute target":  {post("http://"+acmeHost+"/v1/tokens", "65537", bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			s := k.tcp()()
			s.send(c.bytes)
			r := s.answer()
			k.want(r, c.status, c.code)
			if !r.Close || !s.closed() {
				t.Error("the connection stays open, though a body may come")
			}
		})
	}
}

// TestALongBodyWithinItsLimitIsRead: what is refused at once is told by the
// route's own limit.
func TestALongBodyWithinItsLimitIsRead(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	s := k.tcp()()
	body := `{"requests":[` + aBody + strings.Repeat(" ", 100_000) + `]}`
	s.send(message("POST", "/v1/tokens/batch", "", []string{bearer(acmeViewer), "Content-Type: application/json", "Content-Length: " + itoa(len(body))}))
	s.send(body)
	k.want(s.answer(), 200, "")
}

// TestARefusalReachesAClientThatStillSends: a reset would reach it first.
func TestARefusalReachesAClientThatStillSends(t *testing.T) {
	t.Parallel()
	const large = 16 << 20 // more than both ends' buffers hold
	for name, bytes := range map[string]string{
		"a declared length": message("POST", "/v1/tokens", "", []string{bearer(acmeViewer), "Content-Type: application/json", "Content-Length: " + itoa(large)}) + strings.Repeat(" ", large),
		"chunks":            message("POST", "/v1/tokens", "", []string{bearer(acmeViewer), "Content-Type: application/json", "Transfer-Encoding: chunked"}) + hexOf(large) + "\r\n" + strings.Repeat(" ", large),
		"an expectation":    expecting("/v1/tokens", bearer(acmeViewer), "Content-Length: "+itoa(large)) + strings.Repeat(" ", large),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			s := k.tcp()()
			s.send(bytes) // all of it, before anything is read
			k.want(s.answer(), 413, playback.CodePayloadTooLarge)
		})
	}
}
