package server_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
)

func TestOversizedBodies(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	json := "Content-Type: application/json"
	mib := strings.Repeat(" ", 1<<20)
	fits := func(n int) string { return `{"playback_id":"P"}` + strings.Repeat(" ", n-len(`{"playback_id":"P"}`)) }
	chunked := func(target, body string) response {
		const size = 1 << 15
		var b strings.Builder
		b.WriteString("POST " + target + " HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + json + "\r\n" + bearer(acmeViewer) + "\r\nTransfer-Encoding: chunked\r\n\r\n")
		for len(body) > 0 {
			n := min(size, len(body))
			b.WriteString(hexOf(n) + "\r\n" + body[:n] + "\r\n")
			body = body[n:]
		}
		b.WriteString("0\r\n\r\n")
		return k.raw("POST", b.String())
	}
	for name, c := range map[string]struct {
		r      response
		status int
		code   playback.Code
	}{
		"1 MiB":                        {k.post("/v1/tokens", mib, bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"64 KiB":                       {k.post("/v1/tokens", fits(64<<10), bearer(acmeViewer)), 200, ""},
		"64 KiB and a byte":            {k.post("/v1/tokens", fits(64<<10+1), bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"batch of 512 KiB":             {k.post("/v1/tokens/batch", `{"requests":[`+fits(512<<10-15)+`]}`, bearer(acmeViewer)), 200, ""},
		"batch of 512 KiB and a byte":  {k.post("/v1/tokens/batch", `{"requests":[`+fits(512<<10-14)+`]}`, bearer(acmeViewer)), 413, playback.CodePayloadTooLarge},
		"chunked":                      {chunked("/v1/tokens", `{"playback_id":"P"}`), 200, ""},
		"chunked 64 KiB":               {chunked("/v1/tokens", fits(64<<10)), 200, ""},
		"chunked 64 KiB and a byte":    {chunked("/v1/tokens", fits(64<<10+1)), 413, playback.CodePayloadTooLarge},
		"chunked 1 MiB":                {chunked("/v1/tokens", mib), 413, playback.CodePayloadTooLarge},
		"chunked to nowhere":           {chunked("/nowhere", mib), 404, playback.CodeNotFound},
		"a GET with a small body":      {k.raw("GET", message("GET", aToken, "x", []string{bearer(acmeViewer)})), 200, ""},
		"a GET with a large body":      {k.raw("GET", message("GET", aToken, mib, []string{bearer(acmeViewer)})), 413, playback.CodePayloadTooLarge},
		"only begun":                   {k.raw("POST", message("POST", "/v1/tokens", "", []string{json, "Content-Length: 999999999999"})+"{"), 413, playback.CodePayloadTooLarge},
		"a multipart bomb":             {k.raw("POST", message("POST", "/v1/tokens", strings.Repeat("x", 60<<10), []string{bearer(acmeViewer), "Content-Type: multipart/form-data; boundary=b"})), 415, playback.CodeUnsupportedMediaType},
		"a form":                       {k.raw("POST", message("POST", "/v1/tokens", "a=b", []string{bearer(acmeViewer), "Content-Type: application/x-www-form-urlencoded"})), 415, playback.CodeUnsupportedMediaType},
		"no media type":                {k.raw("POST", message("POST", "/v1/tokens", "{}", []string{bearer(acmeViewer)})), 415, playback.CodeUnsupportedMediaType},
		"a charset":                    {k.raw("POST", message("POST", "/v1/tokens", `{"playback_id":"P"}`, []string{bearer(acmeViewer), "Content-Type: Application/JSON; charset=utf-8"})), 200, ""},
		"compressed":                   {k.post("/v1/tokens", `{"playback_id":"P"}`, bearer(acmeViewer), "Content-Encoding: gzip"), 415, playback.CodeUnsupportedMediaType},
		"another JSON":                 {k.raw("POST", message("POST", "/v1/tokens", `{}`, []string{bearer(acmeViewer), "Content-Type: application/json-patch+json"})), 415, playback.CodeUnsupportedMediaType},
		"a large body to another path": {k.post("/nowhere", mib), 404, playback.CodeNotFound},
		"a large licence challenge":    {k.raw("POST", message("POST", "/license/widevine/P", mib, []string{bearer(acmeViewer)})), 413, playback.CodePayloadTooLarge},
	} {
		if c.r.StatusCode != c.status || c.r.code() != c.code {
			t.Errorf("%s: answered %d %q, want %d %q", name, c.r.StatusCode, c.r.code(), c.status, c.code)
		}
		checkAnswer(t, c.r)
		if c.status == 413 && !c.r.Close {
			t.Errorf("%s: the connection stays open", name)
		}
	}
}

func hexOf(n int) string {
	const digits = "0123456789abcdef"
	out := ""
	for ; n > 0; n >>= 4 {
		out = string(digits[n&15]) + out
	}
	return out
}

func TestMalformedHTTP(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	get := "GET " + aToken
	for name, c := range map[string]struct {
		bytes  string
		status int
		code   playback.Code
	}{
		"100 kB of headers":      {get + " HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 100_000) + "\r\n\r\n", 431, playback.CodeHeadersTooLarge},
		"many headers":           {get + " HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 20_000) + "\r\n", 431, playback.CodeHeadersTooLarge},
		"a 100 kB path":          {"GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, playback.CodeHeadersTooLarge},
		"a 100 kB query":         {get + "?" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, playback.CodeHeadersTooLarge},
		"no HTTP at all":         {"hello\r\n\r\n", 400, "invalid_request"},
		"TLS to a plain port":    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "invalid_request"},
		"a space in the path":    {"GET /stream/a b.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid_request"},
		"a control in the path":  {"GET /stream/a\x01b.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid_request"},
		"no host":                {get + " HTTP/1.1\r\n\r\n", 400, "invalid_request"},
		"two hosts":              {get + " HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid_request"},
		"a host that is none":    {get + " HTTP/1.1\r\nHost: [a\r\n\r\n", 400, "invalid_request"},
		"a folded header":        {get + " HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400, "invalid_request"},
		"two lengths":            {"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "invalid_request"},
		"a negative length":      {"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "invalid_request"},
		"a length that is none":  {"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "invalid_request"},
		"broken chunks":          {"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, "invalid_request"},
		"odd UTF-8 in the path":  {"GET /stream/\xff\xfe.m3u8 HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + bearer(acmeViewer) + "\r\n\r\n", 400, "invalid_request"},
		"odd UTF-8 in the query": {get + "?max_resolution=\xff HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + bearer(acmeViewer) + "\r\n\r\n", 400, "invalid_request"},
		"odd UTF-8 in a header":  {get + " HTTP/1.1\r\nHost: " + acmeHost + "\r\nX-Request-Id: \xff\r\nAuthorization: Bearer \xff\r\n\r\n", 401, playback.CodeInvalidCredentials},
		"the whole server":       {"OPTIONS * HTTP/1.1\r\nHost: " + acmeHost + "\r\n\r\n", 404, playback.CodeNotFound},
		"a whole URL":            {"GET http://" + acmeHost + aToken + " HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + bearer(acmeViewer) + "\r\n\r\n", 200, ""},
		"HTTP/1.0":               {get + " HTTP/1.0\r\nHost: " + acmeHost + "\r\n" + bearer(acmeViewer) + "\r\n\r\n", 200, ""},
	} {
		r := k.raw("GET", c.bytes)
		if r.StatusCode != c.status || r.code() != c.code {
			t.Errorf("%s: answered %d %q, want %d %q: %.200s", name, r.StatusCode, r.code(), c.status, c.code, r.body)
		}
		if r.StatusCode >= 500 {
			t.Errorf("%s: answered %d", name, r.StatusCode)
		}
		checkAnswer(t, r)
	}
}

func TestHeadersOfSixteenKiBAreRead(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.get(aToken, bearer(acmeViewer), "X: "+strings.Repeat("a", 15<<10))
	k.want(r, 200, "")
}

// TestARequestThatDoesNotArriveIsGivenUp runs over TCP too, whose errors are
// others than those of the listener in memory.
func TestARequestThatDoesNotArriveIsGivenUp(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = k.server.Serve(tcp, nil) }()
	dials := map[string]func() (net.Conn, error){
		"memory": k.listener.Dial,
		"TCP":    func() (net.Conn, error) { return net.Dial("tcp", tcp.Addr().String()) },
	}
	waiting := map[string]net.Conn{}
	for listener, dial := range dials {
		for name, bytes := range map[string]string{
			"half a body": message("POST", "/v1/tokens", "", []string{
				bearer(acmeViewer), "Content-Type: application/json", "Content-Length: 50",
			}) + `{"playback_id"`,
			"half a header": "GET " + aToken + " HTTP/1.1\r\nHost: ",
		} {
			waiting[name+" over "+listener] = k.begin(dial, bytes)
		}
	}
	for name, conn := range waiting {
		r := k.read("POST", bufio.NewReader(conn))
		k.want(r, 408, "request_timeout")
		if !r.Close {
			t.Errorf("%s: the connection stays open", name)
		}
		_ = conn.Close()
	}
}

func TestAKeptConnectionAnswersRequestAfterRequest(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	conn, err := k.listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for _, c := range []struct {
		bytes  string
		status int
	}{
		{message("GET", "/nowhere", "ignored body", nil), 404},
		{message("GET", aToken, "", []string{bearer(acmeViewer)}), 200},
		{message("POST", "/v1/tokens", `{"playback_id":"P"}`, []string{bearer(acmeViewer), "Content-Type: application/json", "Expect: 100-continue"}), 200},
		{message("POST", "/v1/tokens", `{`, []string{bearer(acmeViewer), "Content-Type: application/json"}), 400},
		{message("POST", "/license/widevine/P", strings.Repeat("c", 9000), []string{bearer(acmeViewer)}), 307},
		{message("BREW", aToken, "", nil), 405},
		{message("HEAD", aToken, "", []string{bearer(acmeViewer)}), 200},
	} {
		if _, err := io.WriteString(conn, c.bytes); err != nil {
			t.Fatal(err)
		}
		method, _, _ := strings.Cut(c.bytes, " ")
		got := k.read(method, r)
		if got.StatusCode == 100 {
			got = k.read(method, r)
		}
		if got.StatusCode != c.status || got.Close {
			t.Errorf("%.40q: answered %d (close %v), want %d", c.bytes, got.StatusCode, got.Close, c.status)
		}
	}
}
