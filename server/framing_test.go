package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"

	"github.com/playgate/playgate/server"
)

// reading is one request as somebody has read it.
type reading struct {
	Method, Target, Host, Body string
	Fields                     []string // "name: value", sorted; without those below
}

// notCompared are the fields that say how to read the message, which net/http takes
// out, and those that fasthttp reads as structures.
func notCompared(name string) bool {
	switch name {
	case "host", "content-length", "transfer-encoding", "connection", "trailer", "expect", "cookie", "content-type", "user-agent":
		return true
	}
	return false
}

func fieldsOf(each func(yield func(name, value string))) []string {
	out := []string{}
	each(func(name, value string) {
		if name = strings.ToLower(name); !notCompared(name) {
			out = append(out, name+": "+value)
		}
	})
	slices.Sort(out)
	return out
}

// input is a connection on which a client has sent all that it will.
type input struct {
	net.Conn // nil

	bytes io.Reader
}

func (c input) Read(p []byte) (int, error)  { return c.bytes.Read(p) }
func (c input) Write(p []byte) (int, error) { return len(p), nil }
func (c input) Close() error                { return nil }
func (c input) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c input) RemoteAddr() net.Addr        { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// ourReadings returns the requests that the server reads out of the bytes.
func ourReadings(s *server.Server, sent []byte) (out []reading) {
	_ = s.ServeRequests(input{bytes: bytes.NewReader(sent)}, func(rc *fasthttp.RequestCtx) {
		h := &rc.Request.Header
		one := reading{Method: string(h.Method()), Target: string(h.RequestURI()), Host: string(h.Host())}
		one.Fields = fieldsOf(func(yield func(name, value string)) {
			for name, value := range h.All() {
				yield(string(name), string(value))
			}
		})
		if stream := rc.RequestBodyStream(); stream != nil {
			body, err := io.ReadAll(stream)
			if err != nil || h.ContentLength() >= 0 && len(body) != h.ContentLength() {
				rc.SetConnectionClose()
				return // refused: it is not whole
			}
			one.Body = string(body)
		}
		out = append(out, one)
	})
	return out
}

// theirReadings returns those that net/http reads, and whether it has stopped at a URL
// that it does not like, which says nothing of the bytes behind it.
func theirReadings(sent []byte) (out []reading, stopped bool) {
	r := bufio.NewReader(bytes.NewReader(sent))
	for {
		if blank, _ := r.Peek(2); string(blank) == "\r\n" { // RFC 9112 §2.2, which net/http leaves to its callers
			_, _ = r.Discard(len(blank))
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return out, errors.As(err, new(*url.Error))
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return out, false
		}
		one := reading{Method: req.Method, Target: req.RequestURI, Host: req.Host, Body: string(body)}
		one.Fields = fieldsOf(func(yield func(name, value string)) {
			for name, values := range req.Header {
				for _, value := range values {
					yield(name, value)
				}
			}
		})
		out = append(out, one)
	}
}

// FuzzRequestsHaveOneReading compares the requests that we read with those that
// net/http reads out of the same bytes. We may refuse more: ours are the first of
// theirs.
func FuzzRequestsHaveOneReading(f *testing.F) {
	for _, bytes := range twoReadings() {
		f.Add([]byte(bytes + getLine + hostLine + "\r\n"))
	}
	for _, body := range badChunks() {
		f.Add([]byte(postHead + "Transfer-Encoding: chunked\r\n\r\n" + body + getLine + hostLine + "\r\n"))
	}
	f.Add([]byte(postHead + "Content-Length: 5\r\nX: a\r\nX: b\r\n\r\nhello" + getLine + hostLine + "\r\n" + postHead + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nY: z\r\n\r\n" + getLine + hostLine + "\r\n"))
	s := quiet(f).server
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours := ourReadings(s, sent)
		theirs, stopped := theirReadings(sent)
		if stopped {
			ours = ours[:min(len(ours), len(theirs))]
		}
		if len(ours) > len(theirs) {
			t.Fatalf("we read %d requests, net/http %d: %q\n%v", len(ours), len(theirs), sent, ours)
		}
		for i := range ours {
			theirs[i].Host = ours[i].Host // absolute form: net/http keeps the target's only
			if diff := cmp.Diff(theirs[i], ours[i]); diff != "" {
				t.Fatalf("request %d is another (-net/http +ours): %s\n%q", i, diff, sent)
			}
		}
	})
}

// BenchmarkFraming is what the check costs for one request of a browser.
func BenchmarkFraming(b *testing.B) {
	request := message("GET", aToken, "", []string{
		"Authorization: Bearer " + strings.Repeat("a", 700), "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Accept: application/json", "Origin: " + acmePage, "Referer: " + acmePage + "/watch/1",
	})
	r := strings.NewReader(request)
	conn := server.NewStrictConn(readerConn{Reader: r})
	buffer := make([]byte, 16<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(request)))
	for b.Loop() {
		r.Reset(request)
		if n, err := conn.Read(buffer); n != len(request) || err != nil {
			b.Fatal(n, err)
		}
	}
}
